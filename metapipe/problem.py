"""What is asked of a learner: the kind of problem, its shapes and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["classification", "regression", "control"]

Actions = Literal["", "discrete", "continuous"]
"""What is chosen in a world: one of so many, or that many numbers. Nothing where there
is no world."""


Statistics = Literal["batch", "running", "support"]
"""Whose mean and variance normalisation layers use in predictions: those of the batch
at hand, running averages, or those of the support set, which `adapt` then returns."""


Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Problem:
    """What is to be learned: the shape of the input and what is asked of the output."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of one input: (channels, height, width) for images."""

    outputs: int
    """Number of classes in a task (ways), or of numbers to predict; of control, of
    discrete actions, or of the numbers of a continuous one."""

    class_count: int = 0
    """Number of classes of the split the tasks come from; 0 for regression."""

    shots: int = 0
    """The most support examples a class of a task; 0 where that is not known."""

    actions: Actions = ""
    """Of control: what a policy chooses in a world."""

    @property
    def policy_outputs(self) -> int:
        """How many outputs say how a policy acts: a logit for each discrete action; for
        continuous ones their means, then the logarithms of their standard deviations.
        Outputs after these are the method's own, such as a value."""
        return 2 * self.outputs if self.actions == "continuous" else self.outputs

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Problem:
        """From JSON of a file or a store, which may call `class_count` `classes`, as it
        was once. Raises KeyError, TypeError, ValueError or OverflowError."""
        known = {{"classes": "class_count"}.get(k, k): v for k, v in record.items()}
        return cls(**{**known, "shape": tuple(int(side) for side in record["shape"])})
