"""`metapipe runs export | import`."""

from __future__ import annotations

from pathlib import Path

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_json


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--without-files", is_flag=True, help="Leave checkpoints out.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
@pass_app
def export(
    app: App,
    names: tuple[str, ...],
    path: Path,
    without_files: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write runs with all that belongs to them into FILE, for another store.

    Settings, figures, evaluations, episodes, tags, notes and checkpoints; 'runs import'
    reads them.
    """
    from ..runs.carrying import export_runs

    done = export_runs(
        app.existing_store, names, path, with_files=not without_files, force=force
    )
    if as_json:
        print_json(done)
    else:
        numbers = ", ".join(map(str, done.runs.values()))
        echo(f"wrote run {numbers} with {done.files} checkpoints to {path}")


@click.command(name="import")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--skip-known", is_flag=True, help="Pass over runs that are here.")
@json_option
@pass_app
def import_(app: App, path: Path, skip_known: bool, as_json: bool) -> None:
    """Read runs from FILE, which 'runs export' wrote: all of them or none.

    They get numbers of this store, and directories in this project.
    """
    from ..runs.carrying import import_runs

    project = app.project.directory
    done = import_runs(lambda: app.new_store, path, project, skip_known=skip_known)
    if as_json:
        print_json(done)
        return
    for uid, run_id in done.skipped.items():
        echo(f"here already, as run {run_id}: {uid}", err=True)
    for run_id in done.runs.values():
        echo(f"imported run {run_id}")
