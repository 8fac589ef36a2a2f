"""The best validations of a run, as its checkpoints tell them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

UNKNOWN = 0
"""The step of a best validation that an early checkpoint does not tell."""


class Validated(NamedTuple):
    """A validation, the greater the better."""

    step: int
    value: float
    """The accuracy, or the negative loss."""


Ranking = tuple[Validated, ...]
"""The very best first."""


def goodness(select: str, loss: float, accuracy: float | None) -> float:
    """Of a validation, by what `training.select` says."""
    return -loss if accuracy is None or select == "loss" else accuracy


def with_another(ranking: Ranking, new: Validated, kept: int) -> Ranking:
    """As many as are kept; of equals the earlier comes first."""
    return tuple(sorted((*ranking, new), key=lambda each: -each.value)[:kept])


def to_json(ranking: Ranking) -> list[Sequence[float]]:
    """For the header of a checkpoint."""
    return [list(each) for each in ranking]


def from_header(header: Mapping[str, Any]) -> Ranking:
    """What `to_json` made; earlier versions wrote the best value alone."""
    found = header.get("best")
    if found is None:
        return ()
    if isinstance(found, list):
        return tuple(Validated(*each) for each in found)
    return (Validated(UNKNOWN, found),)
