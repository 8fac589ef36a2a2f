"""Going on with a run for longer than it was asked for: as if it had been from the
start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ..errors import SettingError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.setting_errors import first_error
from ..store.records import RunRow
from ..training.loop import same_rates
from ..training_settings import TrainingSettings

logger = logging.getLogger("metapipe")


def longer(
    row: RunRow,
    experiment: Experiment,
    iterations: int | None,
    minutes: float | None,
) -> Experiment:
    """The experiment of a run, with another end.

    Raises UsageError for an end that was passed already, and for one that would have
    changed what was done until now: a schedule goes to the end.
    """
    before = experiment.training
    changes = {"iterations": iterations, "minutes": minutes}
    asked = {name: value for name, value in changes.items() if value is not None}
    after = _changed(before, asked)
    if row.status == "completed" or asked:
        _require_longer(row, after, bool(asked))
    moved = after.iterations != before.iterations
    if moved and not same_rates(before, after, row.step):
        raise UsageError(
            f"run {row.id} has a {before.schedule} schedule to iteration "
            f"{before.iterations}: with another end its step sizes would have been "
            f"others from the start; metapipe train --from-run {row.id} --iterations "
            f"{after.iterations} does all of it anew, and --start-from {row.id} begins "
            "with what it learned"
        )
    return replace(experiment, training=after)


def _changed(before: TrainingSettings, asked: Mapping[str, Any]) -> TrainingSettings:
    try:
        return TrainingSettings.model_validate({**before.model_dump(), **asked})
    except ValidationError as error:
        message = first_error(error, TrainingSettings, "training", {})
        raise SettingError(message) from error


def _require_longer(row: RunRow, after: TrainingSettings, asked: bool) -> None:
    if row.status == "completed" and not asked:
        raise UsageError(
            f"run {row.id} is completed and cannot be resumed: go on with it by "
            f"--iterations N, more than {row.step}, or repeat it with metapipe train "
            f"--from-run {row.id}"
        )
    if after.iterations < row.step or (
        after.iterations == row.step and row.status == "completed"
    ):
        raise UsageError(
            f"run {row.id} has done {row.step} iterations, and its end is "
            f"{after.iterations}: give --iterations of more than {row.step}"
        )
    done = (row.train_seconds or 0.0) / 60
    if after.minutes is not None and after.minutes <= done:
        raise UsageError(
            f"run {row.id} has trained for {done:.3g} minutes, and its end is "
            f"{after.minutes:g}: give --minutes of more than that"
        )


def tell_of_former_end(row: RunRow, experiment: Experiment) -> None:
    """A run that had been asked for this from the start would not have stopped."""
    every = experiment.training.validate_every
    if every and row.step % every:
        logger.warning(
            "run %d was validated at iteration %d too, its former end: that may have "
            "kept another best checkpoint than training without a stop",
            row.id,
            row.step,
        )
