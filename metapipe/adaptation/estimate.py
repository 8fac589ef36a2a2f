"""The accuracy to expect on new examples like those that were given.

Of n examples each held out once, r answered rightly. Wilson's interval of r in n is too
narrow: answers of learners that share most of their examples are not independent, and
the learner of all examples is another than theirs. That of r / 2 in n / 2 covers: see
benchmarks/TRUST.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..training.intervals import wilson
from .held_out import HeldOut


@dataclass(frozen=True)
class Estimate:
    """What accuracy to expect, told from the examples given alone."""

    accuracy: float
    low: float
    high: float
    """A 95 % interval: Wilson's, of half as many examples."""

    confusion: list[list[int]]
    """[true][predicted]: numbers of examples; a row of noughts for a class that has a
    single one."""

    count: int
    """Examples that were held out, each once."""

    folds: int
    """How often it was learned anew for that."""


def estimate(held: HeldOut) -> Estimate:
    """The estimate that held-out answers give."""
    ways = held.outputs.shape[1]
    predicted = held.outputs.argmax(-1)
    count, right = len(predicted), int((predicted == held.labels).sum())
    low, high = wilson(right / 2, count / 2)
    pairs = torch.bincount(held.labels * ways + predicted, minlength=ways * ways)
    confusion = pairs.reshape(ways, ways).tolist()
    return Estimate(right / count, low, high, confusion, count, held.folds)
