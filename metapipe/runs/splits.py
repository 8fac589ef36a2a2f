"""The splits of an experiment's data as it uses them."""

from __future__ import annotations

from ..dataset import Source
from ..errors import SettingError, UnsupportedError
from ..experiment.experiment import Experiment
from ..problem import Split

BOTH = "train+val"


def open_split(experiment: Experiment, split: Split) -> Source:
    """A split, opened; that of training has the classes of validation too, if the
    experiment asks for it.

    Raises SettingError where the data set cannot join them.
    """
    source = experiment.dataset.open(split)
    if split != "train" or experiment.training.splits != BOTH:
        return source
    try:
        return source.joined(experiment.dataset.open("val"))
    except UnsupportedError as error:
        raise SettingError(
            f"training.splits = {BOTH} with {experiment.run.dataset}: {error}"
        ) from error


def check_splits(experiment: Experiment) -> None:
    """Refuse to validate, or to test, on classes that are trained on."""
    if experiment.training.splits != BOTH:
        return
    if experiment.training.validate_every:
        raise SettingError(
            f"training.splits = {BOTH}: a validation would be of classes that are "
            "trained on, and choose by them; leave it out by --validate-every 0, and "
            "the latest checkpoint is tested"
        )
    if experiment.evaluation.split == "val":
        raise SettingError(
            f"training.splits = {BOTH}: the classes of evaluation.split = val are "
            "trained on; test on others, by evaluation.split=test"
        )
