"""The shrunken linear discriminant on vectors of a backbone.

Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936, with the
covariance shrunk as by Ledoit & Wolf, "A Well-conditioned Estimator for
Large-dimensional Covariance Matrices", 2004, eq. 2, by a share that is given: of so few
examples none can be estimated, and from 0.1 to 0.8 it hardly matters.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from metapipe import Params, Register, hookimpl
from metapipe_plugins.parts.heads.prototypes import prototypes
from metapipe_plugins.parts.heads.task_head import TaskHead

FLAT = 1e-12
"""Mean variance of unit vectors within classes that is none: copies of a picture."""

TINY = 1e-30
"""A score that is none: of classes that are all in one place."""


class Discriminant(TaskHead):
    """Fit normal densities of one covariance to the classes, all equally likely.

    The covariance is that within the classes, drawn towards a multiple of the identity.
    Where a class has a single example there is none to speak of: then it is the nearest
    class mean by cosine, seen from the task's middle, as of the head `nearest`.
    """

    paper: ClassVar[str] = (
        "Fisher 1936; Ledoit & Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4"
    )
    equations: ClassVar[str] = (
        "scikit-learn's LinearDiscriminantAnalysis with this shrinkage and equal "
        "priors, solved in the space of the examples"
    )
    departures: ClassVar[str] = (
        "logits have one scale for any number of examples: those of the densities grow "
        "with what is left out, and no temperature of the folds would suit them"
    )

    shrinkage: float = Field(default=0.5, gt=0, le=1)
    """How far the covariance is drawn towards a multiple of the identity."""

    scale: PositiveFloat = 10.0
    """Of the logits: root mean square, over classes, of what the mean of a class scores
    for it."""

    def fit(self, vectors: Tensor, labels: Tensor, ways: int) -> Params:
        """`weight` (ways, d) and `bias` (ways,)."""
        means = prototypes(vectors, labels, ways)
        centre = means.mean(0)
        within = vectors - means[labels]
        variance = within.square().mean()
        if labels.bincount(minlength=ways).min() < 2 or variance < FLAT:
            weight, middle = _nearest(vectors - centre, labels, ways), centre
        else:
            weight = _whitened(means - centre, within, variance, self.shrinkage)
            middle = (means + centre) / 2  # where two densities are equal
        own = (weight * (means - centre)).sum(-1).square().mean().sqrt()
        weight = weight * (self.scale / own.clamp(min=TINY))
        return {"weight": weight, "bias": -(weight * middle).sum(-1)}


def _nearest(centred: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Directions of the class means (ways, d), each example counted by its direction.

    The length of a query changes all of its scores alike, and the ranking not at all.
    """
    means = prototypes(F.normalize(centred, dim=-1), labels, ways)
    return F.normalize(means, dim=-1)


def _whitened(
    means: Tensor, within: Tensor, variance: Tensor, shrinkage: float
) -> Tensor:
    """(ways, d): means (ways, d) times the inverse of the shrunken covariance
    (1 - s) W'W / n + s v I, with W (n, d) what is within classes, v its mean variance.

    By Woodbury's identity the system has n equations where there are fewer examples
    than dimensions.
    """
    count, dimensions = within.shape
    floor, share = shrinkage * variance, (1 - shrinkage) / count
    if count > dimensions:
        covariance = _plus(share * within.mT @ within, floor)
        whitened: Tensor = torch.linalg.solve(covariance, means.mT)
        return whitened.mT
    kernel = _plus(share * within @ within.mT, floor)
    along: Tensor = torch.linalg.solve(kernel, within @ means.mT)
    return (means - share * (within.mT @ along).mT) / floor


def _plus(gram: Tensor, floor: Tensor) -> Tensor:
    """`floor` added to the diagonal."""
    return gram + floor * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer the shrunken linear discriminant."""
    register("discriminant", Discriminant)
