"""`metapipe evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..experiment.options import EVALUATION, Pairs, from_options
from ..facts.evaluation import evaluation_facts
from .context import App, pass_app
from .options import (
    PluginOption,
    Processes,
    evaluation_processes_option,
    json_option,
    set_option,
    setting_options,
)
from .output import echo, print_facts, print_json
from .streams import begin


@click.command()
@click.argument("run")
@setting_options(EVALUATION)
@click.option(
    "--dataset", cls=PluginOption, help="Another data set than the run's own."
)
@set_option
@evaluation_processes_option
@json_option
@pass_app
def evaluate(
    app: App,
    /,
    run: str,
    dataset: str | None,
    settings: Pairs,
    processes: Processes | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Evaluate a run on episodes of classes it has not seen, and store the result.

    RUN is a number, a name, or 'latest'. What is not given is as in the run's own
    experiment. -s dataset.NAME=VALUE and -s algorithm.NAME=VALUE change settings for
    this evaluation only, for example -s algorithm.test_steps=3.
    """
    from ..runs.joining import Place
    from ..runs.processes import evaluated
    from ..runs.sharing import shared_evaluation

    asked = from_options(options, EVALUATION)
    count = shared_evaluation(app, processes, run, asked)
    what = (run, asked, settings, dataset)
    found = evaluated(count, app, *what, shown=not as_json, begin=begin)
    if Place.here().rank:
        pass  # the first process of several tells
    elif as_json:
        print_json({**asdict(found), "return": found.mean_return})
    else:
        echo(f"run {found.run_id}, step {found.step}: evaluation {found.id}")
        print_facts(evaluation_facts(found))
