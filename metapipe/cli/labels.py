"""`metapipe runs tag | note`."""

from __future__ import annotations

import click

from .context import App, pass_app
from .output import echo


@click.command()
@click.argument("run")
@click.argument("add", metavar="[TAG]...", nargs=-1)
@click.option("--remove", multiple=True, metavar="TAG", help="Take this tag off.")
@pass_app
def tag(app: App, run: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Put tags on a run, to find it by with --where tag=TAG; take others off."""
    row = app.store.run(run)
    app.store.tag(row.id, add, remove)
    tags = ", ".join(app.store.run(row.id).tags)
    echo(f"run {row.id}: {tags or 'no tags'}")


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@pass_app
def note(app: App, run: str, text: str | None) -> None:
    """Write a note on a run, in place of what was; show it if no TEXT is given.

    An empty TEXT removes it. Notes are found by with --where 'note~TEXT'.
    """
    row = app.store.run(run)
    if text is not None:
        app.store.note(row.id, text)
        row = app.store.run(row.id)
    for line in (row.notes or f"run {row.id} has no note").splitlines():
        echo(line)
