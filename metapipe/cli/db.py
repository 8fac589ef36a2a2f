"""`metapipe db upgrade | current | backup | check | prune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_json, print_table

if TYPE_CHECKING:
    from ..runs.pruning import Pruning
    from ..runs.store_check import Checked


@click.group()
def db() -> None:
    """Look after the task store."""


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


@db.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--with-files",
    is_flag=True,
    help="Also copy the checkpoints of all runs, into runs/ beside FILE.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
@pass_app
def backup(app: App, path: Path, with_files: bool, force: bool, as_json: bool) -> None:
    """Copy the store, as it is now, into the SQLite file FILE.

    Runs may be writing meanwhile. The rows of all runs are in it, but not their
    checkpoints, unless --with-files. Open it with --db sqlite:///FILE.
    """
    from ..runs.backup import back_up

    done = back_up(app.existing_url, path, with_files=with_files, force=force)
    if as_json:
        print_json(done)
        return
    beside = (
        "no checkpoints: see --with-files"
        if done.files is None
        else f"and {done.files} checkpoints in {done.path.parent / 'runs'}"
    )
    echo(f"wrote {done.path}, {size_text(done.bytes)}, {beside}")


@db.command()
@click.option("--no-files", is_flag=True, help="Look at the rows only.")
@json_option
@click.pass_context
def check(context: click.Context, no_files: bool, as_json: bool) -> None:
    """Look whether the store is whole: rows, files, and that they agree.

    All checkpoints are read and compared with their checksums. Nothing is changed. The
    exit code is 1 if something is lost or wrong.
    """
    from ..runs.store_check import check as check_store

    checked = check_store(context.obj.existing_store, files=not no_files)
    if as_json:
        print_json(checked.to_json())
    else:
        _print_checked(checked)
    context.exit(0 if checked.whole else 1)


@db.command()
@click.option("--where", default="", help="Only runs that match, as in 'runs list'.")
@click.option("--checkpoints-before", metavar="AGE", help="Prune older checkpoints.")
@click.option(
    "--keep",
    type=click.Choice(["best", "latest"]),
    help="Keep that checkpoint of each run; the only one of a run that has not it.",
)
@click.option(
    "--episodes-before",
    metavar="AGE",
    help="Prune episodes of older evaluations and trainings; their figures stay.",
)
@click.option("--yes", is_flag=True, help="Do it; without, only say what would go.")
@json_option
@pass_app
def prune(
    app: App,
    where: str,
    checkpoints_before: str | None,
    keep: str | None,
    episodes_before: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove old checkpoints and episodes. Runs that are running are left alone.

    AGE is a time, 2026-11-26 or 2026-11-26T13:00 (UTC), or an age: 36h, 30d, 8w. Runs
    stay, with settings and figures, and remember what was pruned.
    """
    from ..runs.pruning import prune as prune_store
    from ..store.ages import pruning_rule

    rule = pruning_rule(checkpoints_before, keep, episodes_before)
    done = prune_store(app.existing_store, rule, where, really=yes)
    if as_json:
        print_json(done)
    else:
        _print_pruning(done)


def _print_checked(checked: Checked) -> None:
    rows = ", ".join(f"{many} {name}" for name, many in checked.rows.items())
    echo(f"rows: {rows or 'not counted'}")
    echo(f"checkpoints: {checked.files}, {size_text(checked.bytes)}")
    if checked.faults:
        found = [
            {
                "what": fault.what + (" (harmless)" if fault.harmless else ""),
                "where": fault.where,
                "detail": fault.detail,
            }
            for fault in checked.faults
        ]
        echo()
        print_table(found, ("what", "where", "detail"))
    wrong = sum(not fault.harmless for fault in checked.faults)
    echo(f"\n{wrong} faults" if wrong else "the store is whole")


def _print_pruning(done: Pruning) -> None:
    if done.runs:
        rows = [
            {
                "run": each.run,
                "status": each.status,
                "checkpoints": ", ".join(each.checkpoints),
                "size": size_text(each.bytes),
                "episodes": each.episodes,
            }
            for each in done.runs
        ]
        print_table(rows, ("run", "status", "checkpoints", "size", "episodes"))
    for path in done.left:
        echo(f"not removed: {path}", err=True)
    for run_id in done.running:
        echo(f"run {run_id} is running: left alone", err=True)
    many = sum(len(each.checkpoints) for each in done.runs)
    size = size_text(sum(each.bytes for each in done.runs))
    episodes = sum(each.episodes for each in done.runs)
    verb = "pruned" if done.done else "would prune"
    echo(f"{verb}: checkpoints {many} ({size}), episodes {episodes}")
    if done.runs and not done.done:
        echo("nothing was changed: --yes does it")


def size_text(size: float) -> str:
    """`3.2 MB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
