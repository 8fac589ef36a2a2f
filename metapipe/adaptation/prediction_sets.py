"""Sets of classes that hold the right one as often as asked.

Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World", 2005; with scores of
held-out folds as in Vovk, "Cross-conformal predictors", 2015. A class belongs to the
set unless it is told less likely than the right class was told in all but a share of
the n held-out examples: the (n + 1) (1 - coverage) least likely. Of fewer than
coverage / (1 - coverage) examples nothing can be said: nine for nine times in ten. The
promise is for the mean over classes, not for each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

COVERAGE = 0.9
"""How often a set holds the right class, unless asked otherwise."""

ROUNDING = 1e-9
"""Of shares such as 0.9, which are no numbers of the machine's."""


def threshold(right: Tensor, coverage: float = COVERAGE) -> float | None:
    """The least probability of a class in the set, from probabilities (n,) that
    held-out examples' right classes were given; None if there are too few.

    Raises ValueError unless `coverage` is within (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage = {coverage}: a share between 0 and 1 is wanted")
    rank = math.floor((len(right) + 1) * (1 - coverage) + ROUNDING)
    if rank < 1:
        return None
    return float(right.sort().values[rank - 1])


def prediction_sets(probabilities: Tensor, least: float) -> Tensor:
    """(m, ways), bool: the classes of each set, the likeliest one always."""
    likeliest = probabilities.argmax(-1, keepdim=True)
    sets = probabilities >= least
    return sets.scatter(1, likeliest, torch.ones_like(likeliest, dtype=torch.bool))
