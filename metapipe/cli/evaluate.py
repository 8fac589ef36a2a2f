"""`metapipe evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from ..errors import SettingError
from ..experiment.setting_errors import first_error
from ..settings import EvaluationSettings
from .context import App, pass_app
from .facts import evaluation_facts
from .options import by_table, given_settings, json_option, set_option, setting_options
from .output import print_facts, print_json

if TYPE_CHECKING:
    from ..experiment.experiment import Experiment


@click.command()
@click.argument("run")
@setting_options({"evaluation": EvaluationSettings})
@click.option("--dataset", help="Another data set than the run's own.")
@set_option
@json_option
@pass_app
def evaluate(
    app: App,
    /,
    run: str,
    dataset: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Evaluate a run on episodes of classes it has not seen, and store the result.

    RUN is a number, a name, or 'latest'. What is not given is as in the run's own
    experiment. -s dataset.NAME=VALUE and -s algorithm.NAME=VALUE change settings for
    this evaluation only, for example -s algorithm.test_steps=3.
    """
    from ..experiment.experiment import Experiment
    from ..runs.examination import evaluate as run_evaluation

    row = app.store.run(run)
    experiment = Experiment.from_dict(row.config, app.registry)
    changes = by_table(assignments, ("dataset", "algorithm"), "an evaluation")
    name = dataset or experiment.run.dataset
    found = run_evaluation(
        row.id,
        app.registry,
        app.store,
        _settings(experiment, given_settings(settings)),
        dataset=_dataset(app, experiment, name, changes["dataset"]),
        dataset_name=name,
        dataset_settings=changes["dataset"],
        algorithm=changes["algorithm"],
    )
    if as_json:
        print_json(found)
    else:
        click.echo(f"run {row.id}, step {found.step}: evaluation {found.id}")
        print_facts(evaluation_facts(found))


def _settings(
    experiment: Experiment, given: list[tuple[str, Any]]
) -> EvaluationSettings:
    values = {name.partition(".")[2]: value for name, value in given}
    try:
        return EvaluationSettings.model_validate(
            {**experiment.evaluation.model_dump(), **values}
        )
    except ValidationError as error:
        message = first_error(error, EvaluationSettings, "evaluation", {})
        raise SettingError(message) from error


def _dataset(
    app: App, experiment: Experiment, name: str, changes: dict[str, Any]
) -> Any:
    """The data set to draw from: the run's own settings only for its own."""
    own = name == experiment.run.dataset
    settings = experiment.dataset.model_dump() if own else {}
    return app.registry.create("dataset", name, {**settings, **changes})
