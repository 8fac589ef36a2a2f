"""`metapipe train` and `metapipe resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..experiment.options import TRAINING, Pairs, from_options
from ..facts.evaluation import evaluation_facts
from .context import App, pass_app
from .options import (
    Processes,
    json_option,
    processes_option,
    set_option,
    setting_options,
)
from .output import echo, print_facts, print_json
from .planned import show_plan
from .streams import begin

if TYPE_CHECKING:
    from ..runs.outcome import Outcome

INTERRUPTED = 130


@click.command()
@setting_options(TRAINING)
@set_option
@click.option("--from-run", metavar="RUN", help="Repeat the experiment of a run.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by; repeatable.")
@click.option("--note", help="What to remember of it.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would run and what memory it would take, and stop.",
)
@processes_option
@json_option
@pass_app
def train(
    app: App,
    /,
    settings: Pairs,
    from_run: str | None,
    tags: tuple[str, ...],
    note: str | None,
    dry_run: bool,
    processes: Processes | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Meta-train, then evaluate on classes never seen.

    Every setting of a plugin is shown by 'metapipe plugins show NAME' and given by
    --set, for example -s algorithm.inner_lr=0.1 -s dataset.root=PATH.
    """
    from ..runs import requests
    from ..runs.processes import trained
    from ..runs.sharing import shared

    asked = [*from_options(options, TRAINING), *settings]
    count, asked = shared(app, processes, asked, from_run)
    if dry_run:
        show_plan(*requests.forecast(app, asked, from_run), as_json)
        return
    what = (asked, from_run, tags, note)
    _report(trained(count, app, "train", *what, begin=begin), as_json)


@click.command()
@click.argument("run")
@click.option("--iterations", type=click.IntRange(1), help="Go on to so many in all.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Go on until so many of training in all.",
)
@processes_option
@json_option
@pass_app
def resume(
    app: App,
    run: str,
    iterations: int | None,
    minutes: float | None,
    processes: Processes | None,
    as_json: bool,
) -> None:
    """Go on with a run from its last checkpoint.

    A run that did not complete goes on to its end. With another end a completed one
    goes on too, as if that had been asked for from the start.
    """
    from ..runs.processes import trained
    from ..runs.sharing import shared_again

    count, what = shared_again(app, processes, run), (run, iterations, minutes)
    _report(trained(count, app, "resume", *what, begin=begin), as_json)


def _report(outcome: Outcome, as_json: bool) -> None:
    if outcome.rank:
        pass  # the first process of several tells
    elif as_json:
        print_json(
            {
                "run": outcome.run_id,
                "status": outcome.status,
                "reason": outcome.reason,
                "step": outcome.step,
                "device": outcome.device,
                "mapping": outcome.mapping,
                "metrics": outcome.metrics,
                "evaluation": outcome.evaluation,
                "return": outcome.evaluation and outcome.evaluation.mean_return,
                "directory": outcome.directory,
            }
        )
    else:
        _print_outcome(outcome)
    if outcome.status == "interrupted":
        click.get_current_context().exit(INTERRUPTED)


def _print_outcome(outcome: Outcome) -> None:
    found = outcome.evaluation
    echo(
        f"run {outcome.run_id} {outcome.status} after {outcome.step} iterations on "
        f"{outcome.device} (tasks mapped by {outcome.mapping})"
    )
    if outcome.reason is not None:
        echo(f"stopped: {outcome.reason}")
    if found is not None:
        print_facts(evaluation_facts(found))
    echo(f"checkpoints in {outcome.directory}")
    verb = "runs show" if outcome.status == "completed" else "resume"
    other = f" or metapipe evaluate {outcome.run_id}" if outcome.reason else ""
    echo(f"next: metapipe {verb} {outcome.run_id}{other}")
