"""The table `[sweep]` of the config file: what a search over settings tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator

from ..errors import SettingError
from ..section import NonNegativeInt, PositiveInt, Section
from .setting_errors import first_error

OPTIONS: Mapping[str, str] = {
    "trials": "trials",
    "metric": "metric",
    "sampler": "sampler",
    "pruner": "pruner",
    "sweep_seed": "seed",
}
"""Settings by the names of their options; `seed` is the run's."""

MINIMISED = "loss"
"""How a figure ends that is the better the smaller it is."""


class SweepSettings(Section):
    """`[sweep]`: a search over settings."""

    trials: PositiveInt = 20
    """Runs in all, whoever makes them; of a grid, each place at the most."""

    metric: str | None = None
    """The figure to choose by, which is always one of validation: val_accuracy, where
    there are classes, val_loss otherwise. The best of a run's validations counts."""

    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How settings are chosen: by what came out before (tree-structured Parzen
    estimators), at random, or each place of a grid of lists."""

    pruner: Literal["median", "none"] = "median"
    """Which trials are stopped early: those that are worse at a validation than half of
    those before were there, once there were five."""

    seed: NonNegativeInt = 0
    """Of the choices; every trial trains with the run's own seed."""

    space: dict[str, Any] = Field(default_factory=dict)
    """Settings by dotted names, with what is tried of each: a list of values, a range
    {low, high, log, step}, or "auto" for all that the setting allows."""

    def changed(self, changes: Mapping[str, Any], source: str) -> Self:
        """The same with some settings changed, of which `source` tells where they were
        said; what is tried is added to what was. Raises SettingError."""
        values = {**self.model_dump(), **changes}
        values["space"] = {**self.space, **changes.get("space", {})}
        try:
            return self.model_validate(values)
        except ValidationError as error:
            origins = {f"sweep.{name}": source for name in changes}
            message = first_error(error, type(self), "sweep", origins)
            raise SettingError(message) from error

    @field_validator("metric")
    @classmethod
    def _of_validation(cls, metric: str | None) -> str | None:
        if metric is not None and not metric.startswith("val_"):
            raise ValueError(
                "a search chooses by validation, never by the test: a figure that "
                "begins with val_"
            )
        return metric


def taken_from(options: dict[str, Any]) -> dict[str, Any]:
    """The settings of the search among options that are given; they are taken out."""
    taken = {field: options.pop(name, None) for name, field in OPTIONS.items()}
    return {field: value for field, value in taken.items() if value is not None}
