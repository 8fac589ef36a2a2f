"""`metapipe db upgrade | current`."""

from __future__ import annotations

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_json


@click.group()
def db() -> None:
    """Look after the task store's schema."""


@db.command()
@pass_app
def upgrade(app: App) -> None:
    """Bring the store to this version's schema, creating it if need be."""
    from ..store import mask, migrate

    before, after = migrate.upgrade(app.url)
    url = mask(app.url)
    if before == after:
        echo(f"{url} is at schema {after}: nothing to do")
    else:
        echo(f"{url}: schema {before or 'none'} -> {after}")


@db.command()
@json_option
@pass_app
def current(app: App, as_json: bool) -> None:
    """Show where the store is and its schema."""
    from ..store import mask, migrate
    from ..store.schema import REVISION

    found = migrate.current(app.url)
    if as_json:
        print_json({"url": mask(app.url), "schema": found, "needed": REVISION})
    else:
        echo(f"{mask(app.url)}: schema {found or 'none'}, needed {REVISION}")
