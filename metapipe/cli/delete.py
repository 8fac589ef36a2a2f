"""`metapipe runs delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..printable import how_many
from .context import App, pass_app
from .output import echo

if TYPE_CHECKING:
    from ..runs.removal import Doomed, Removal

SHOWN = 20
"""Runs that are named before they are deleted."""


@click.command()
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option("--where", help="Those that match, for example 'status=failed'.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def delete(app: App, names: tuple[str, ...], where: str | None, yes: bool) -> None:
    """Delete runs with their episodes and checkpoints; first it is shown which.

    A run that is running is never deleted.
    """
    from ..runs.removal import remove_runs

    done = remove_runs(app.store, names, where, lambda found: _agreed(found, yes))
    for row in done.rows:
        echo(f"deleted {_label(row)}")
    for left in done.left:
        echo(f"not removed: {left}", err=True)


def _agreed(found: Removal, yes: bool) -> bool:
    """Show what would be deleted, and ask."""
    count = len(found.rows)
    if not count:
        echo("no runs match")
        return False
    for row in found.rows[:SHOWN]:
        echo(_label(row), err=True)
    if count > SHOWN:
        echo(f"... and {count - SHOWN} more", err=True)
    what = f"{how_many(count, 'run')} with {found.bytes:,} bytes of files"
    if yes or click.confirm(f"Delete {what}?", err=True):
        return True
    echo("nothing deleted", err=True)
    return False


def _label(row: Doomed) -> str:
    name = f" '{row.name}'" if row.name else ""
    return f"run {row.id}{name}"
