"""Whether a thing is like the examples of any class, or of none of these.

The score, of roots of features, is how near a thing is to the nearest class: the cosine
to its mean, seen from the task's middle, less the square of the distance. Either alone
tells strangers less well (benchmarks/LOG.md). Held-out examples' scores say how large
it is for a class's own: the share of them that is not larger is the typicality, a
p-value.

How well strangers are told is measured on the classes at hand: each in turn is the
stranger, and the others are learned without it. Those are one class fewer than real
strangers meet, so the share that is told is brought to their number. On the mean over
tasks that is how it goes; of one task it is a rough figure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..episode import Samples
from ..numerics.vectors import of_length_one
from .held_out import folds

REFUSED = 0.1
"""Share of the own that is taken for strangers."""

LEAST_CLASSES, LEAST_SHOTS = 3, 5
"""Of which something can be said."""

MOST_STRANGERS = 20
"""Classes that are strangers in turn, at the most, evenly spread."""


@dataclass(frozen=True)
class Strangers:
    """How well things of other classes are told, by the classes at hand."""

    told: float
    """Share of strangers that are taken for none of these."""

    auroc: float
    """How often a stranger's score is below that of one of the own."""


@dataclass(frozen=True)
class Typicality:
    """What tells whether a thing is like any of the classes."""

    centre: Tensor
    """(d,): the task's middle."""

    directions: Tensor
    """(ways, d): unit vectors from there to the classes."""

    means: Tensor
    """(ways, d): of the classes."""

    own: Tensor
    """(n,): scores of held-out examples, in ascending order."""

    strangers: Strangers

    def of(self, features: Tensor) -> Tensor:
        """(m,): of features (m, d) of its own precision, within (0, 1]."""
        vectors = of_length_one(features, roots=True)
        places = (self.centre, self.directions, self.means)
        return _share(self.own, _scores(*places, vectors))

    def single(self) -> Typicality:
        """In single precision, for a device."""
        return replace(
            self,
            centre=self.centre.float(),
            directions=self.directions.float(),
            means=self.means.float(),
            own=self.own.float(),
        )


def typicality(features: Tensor, labels: Tensor) -> Typicality | None:
    """From the features (n, d) of labelled examples; None if they are too few to tell:
    of fewer than three classes, or fewer than five of any."""
    labels = labels.cpu()
    sizes = labels.bincount()
    if len(sizes) < LEAST_CLASSES or sizes.min() < LEAST_SHOTS:
        return None
    vectors = of_length_one(features.cpu().double(), roots=True)
    known = Samples(vectors, labels)
    return Typicality(*_places(known), _own_scores(known), _strangers(known))


def _strangers(known: Samples) -> Strangers:
    """Each class in turn left out, and shown to the others."""
    told, ranks = [], []
    ways = int(known.targets.max()) + 1
    for stranger in _spread(ways):
        among = known.targets != stranger
        others = Samples(*(tensor[among] for tensor in known))
        own = _own_scores(others)
        scores = _scores(*_places(others), known.inputs[~among])
        told.append(_share(own, scores) <= REFUSED)
        ranks.append((own[:, None] - scores).sign().mean() / 2 + 0.5)
    among_others = float(torch.cat(told).double().mean())
    return Strangers(
        # told by each class on its own, as if that were independent
        told=among_others ** (ways / (ways - 1)),
        auroc=float(torch.stack(ranks).mean()),
    )


def _spread(ways: int) -> list[int]:
    """At most `MOST_STRANGERS` of the classes, evenly."""
    count = min(ways, MOST_STRANGERS)
    return [number * ways // count for number in range(count)]


def _own_scores(known: Samples) -> Tensor:
    """(n,), ascending: of each example, by the others of its fold."""
    scores = []
    for fold in folds(known.targets):
        learned = Samples(*(tensor[fold.learned] for tensor in known))
        scores.append(_scores(*_places(learned), known.inputs[fold.new]))
    return torch.cat(scores).sort().values


def _places(known: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """The middle of the classes (d,), their directions from there and their means
    (ways, d)."""
    members = F.one_hot(known.targets).to(known.inputs)
    members = members[:, members.any(0)]  # a stranger's class has none
    shares = members / members.sum(0)
    means = shares.mT @ known.inputs
    centre = means.mean(0)
    centred = F.normalize(known.inputs - centre, dim=-1)
    return centre, F.normalize(shares.mT @ centred, dim=-1), means


def _scores(
    centre: Tensor, directions: Tensor, means: Tensor, vectors: Tensor
) -> Tensor:
    """(m,): of vectors of length 1, so that the square of a distance is short of 1."""
    cosines = F.normalize(vectors - centre, dim=-1) @ directions.mT
    nearness = 2 * vectors @ means.mT - means.square().sum(-1)
    return (cosines + nearness).amax(-1)


def _share(own: Tensor, scores: Tensor) -> Tensor:
    """(m,): share of the own that score no higher, the thing itself among them."""
    above = (own <= scores[:, None]).sum(-1) + 1
    return above.to(own) / (len(own) + 1)
