"""`metapipe sweep NAME`, `metapipe sweep show | list`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..experiment.options import TRAINING, Pairs, from_options
from ..experiment.sweep_settings import OPTIONS, SweepSettings, taken_from
from ..facts.cells import format_cell
from .context import App, pass_app
from .forms import Form, form_options, print_rows
from .options import field_options, set_option, setting_options
from .output import echo, print_facts, print_json

if TYPE_CHECKING:
    from ..runs.sweep import TrialEnd
    from ..runs.sweep_report import SweepReport, TrialRow

SHOWN = 20
"""Trials that are listed unless more are asked for."""

FORMS = ("--json", "--csv", "--latex")
GIVEN = "metapipe.cli.sweep.given"
"""Where the words after `sweep` are kept, for workers to be started with."""


class SweepGroup(click.Group):
    """A group whose command `run` needs no name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With `run`, where no other command is named."""
        if (
            args
            and args[0] not in self.commands
            and args[0] not in ctx.help_option_names
        ):
            args = ["run", *args]
        ctx.meta[GIVEN] = tuple(args)
        return super().parse_args(ctx, args)


@click.group(cls=SweepGroup)
def sweep() -> None:
    """Search over settings, by validation: metapipe sweep NAME.

    What is tried stands in metapipe.toml under [sweep], or is given by --space. Any
    number of workers take part in a search, here and on machines that share the store.
    """


def _parsed(_: object, __: object, texts: tuple[str, ...]) -> dict[str, Any]:
    from ..experiment.written import parse_assignment

    pairs = [parse_assignment(text, "--space") for text in texts]
    return {name: written.toml for name, written in pairs}


@sweep.command()
@click.argument("study", metavar="NAME")
@click.option(
    "--space",
    multiple=True,
    callback=_parsed,
    metavar="TABLE.NAME=VALUES",
    help="What to try: training.lr='{low=0.001, high=0.1, log=true}', a list such as "
    "task.tasks='[4, 8]', or auto; may be repeated.",
)
@field_options(SweepSettings, OPTIONS)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes to start here.",
)
@click.option("--quiet", is_flag=True, help="A line a trial, and nothing else.")
@setting_options(TRAINING)
@set_option
@form_options
@pass_app
def run(
    app: App,
    /,
    study: str,
    settings: Pairs,
    space: dict[str, Any],
    workers: int,
    quiet: bool,
    form: Form | None,
    **options: Any,
) -> None:
    """Work at a search until it has its trials, then show it.

    Each trial is a run like any other, with the options of 'metapipe train'. A search
    that was begun is taken part in, and trials whose worker died are resumed.
    """
    from ..runs.progress import display
    from ..runs.sweep import search

    changes = taken_from(options) | ({"space": space} if space else {})
    context = click.get_current_context()
    done = search(
        app,
        study,
        [*from_options(options, TRAINING), *settings],
        changes,
        observers=() if quiet else (display,),
        tell=_tell,
        apart=(workers, _command(app, context.meta[GIVEN])) if workers > 1 else None,
    )
    if done.report is not None and (form or not quiet):
        _print(done.report, SHOWN, form)
    context.exit(done.code)


@sweep.command()
@click.argument("name")
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the trials into a file: over time, and over each setting.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=SHOWN,
    show_default=True,
    help="Trials to list, the best first.",
)
@form_options
@pass_app
def show(app: App, name: str, png: Path | None, limit: int, form: Form | None) -> None:
    """Show a search: the best settings, how much each mattered, the trials."""
    from ..runs.study_reports import report

    _print(report(name, app.store, app.url, png), limit, form)


@sweep.command(name="list")
@form_options
@pass_app
def list_(app: App, form: Form | None) -> None:
    """List the searches of the store."""
    from ..runs.study_reports import reports

    rows = [
        {
            "name": one.name,
            "metric": one.metric,
            "best": one.best.value if one.best else None,
            "run": one.best.run if one.best else None,
            "trials": _counts(one),
        }
        for one in reports(app.store, app.url)
    ]
    columns = ("name", "metric", "best", "run", "trials")
    print_rows(rows, columns, form, "no sweeps yet: try 'metapipe sweep NAME'")


def _command(app: App, given: Sequence[str]) -> list[str]:
    """What starts a worker: the same words, for one."""
    options = ["--config", str(app.project.file)] if app.project.file else []
    options += ["--db", app.url]
    for path in app.plugin_paths:
        options += ["--plugin-path", str(path.absolute())]
    return [
        *(sys.executable, "-m", "metapipe", *options, "sweep"),
        *_for_one(given),
        "--quiet",
    ]


def _for_one(given: Sequence[str]) -> Iterator[str]:
    """Without what regards all workers: their number, and what is shown at the end."""
    words = iter(given)
    for word in words:
        if word == "--workers":
            next(words)
        elif word not in FORMS and not word.startswith("--workers="):
            yield word


def _tell(end: TrialEnd) -> None:
    """A line on stderr."""
    value = "" if end.value is None else f"  {end.value:.4g}"
    where = "" if end.run_id is None else f" (run {end.run_id})"
    tried = "  ".join(f"{k}={format_cell(v)}" for k, v in end.values.items())
    error = "" if end.error is None else f"  {end.error}"
    echo(f"trial {end.number}{where} {end.state}{value}  {tried}{error}", err=True)


def _print(found: SweepReport, limit: int, form: Form | None) -> None:
    if form == "json":
        print_json({**vars(found), "best": found.best, "counts": found.counts})
        return
    if form is None:
        print_facts(_facts(found))
        echo()
    others = [trial for trial in found.trials if trial not in found.ranked]
    rows = [_row(found, trial) for trial in [*found.ranked, *others][:limit]]
    print_rows(rows, list(rows[0]) if rows else [], form, "no trials yet")
    if form is None and found.best is not None:
        echo(
            f"\nnext: metapipe evaluate {found.best.run} or runs show {found.best.run}"
        )


def _facts(found: SweepReport) -> list[tuple[str, Any]]:
    best = found.best
    goal = "smallest" if found.direction == "minimize" else "largest"
    facts: list[tuple[str, Any]] = [
        ("sweep", found.name),
        ("chooses by", f"the {goal} {found.metric} of a run"),
        ("trials", _counts(found)),
    ]
    if best is not None:
        value = format_cell(best.value, found.metric)
        facts.append(("best", f"{value}, trial {best.number}, run {best.run}"))
        facts += [(f"  {name}", value) for name, value in best.settings.items()]
    shares = "  ".join(
        f"{name} {100 * v:.0f} %" for name, v in found.importance.items()
    )
    return [*facts, ("importance", shares or None)]


def _counts(found: SweepReport) -> str:
    parts = [f"{count} {status}" for status, count in found.counts.items()]
    return f"{len(found.trials)}: " + ", ".join(parts)


def _row(found: SweepReport, trial: TrialRow) -> dict[str, Any]:
    first = {"trial": trial.number, "run": trial.run, "status": trial.status}
    return {**first, found.metric: trial.value, "step": trial.step, **trial.settings}
