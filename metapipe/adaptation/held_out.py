"""What a learner says of examples that were left out when it learned.

A fold leaves out some of every class, never one example alone: what is left out alone
is of a class that is then smaller than the others, and what regards the sizes of
classes (a ridge regression, most networks) takes it for another. The estimate would be
4 to 12 points too low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..episode import Samples

MOST = 10
"""Folds: how often a learner learns anew, at the most."""

Learn = Callable[[Samples], Callable[[Tensor], Tensor]]
"""From a support set to what it then says of inputs (m, *shape): logits (m, ways)."""


@dataclass(frozen=True)
class HeldOut:
    """What was said of examples by learners that had not seen them."""

    places: Tensor
    """(n,): which examples of the support set; those of classes that have several."""

    labels: Tensor
    """(n,): their classes."""

    outputs: Tensor
    """(n, ways): logits."""

    folds: int


@dataclass(frozen=True)
class Fold:
    """Examples by their places in the support set."""

    learned: Tensor
    left_out: Tensor
    """At least one of every class that has several."""

    new: Tensor
    """Those of `left_out` that no fold before has left out."""


def held_out(samples: Samples, learn: Learn) -> HeldOut | None:
    """Leave out each example once; None if every class has a single one.

    The answer of the first fold counts where a small class's example is left out more
    than once.
    """
    places, outputs = [], []
    count = 0
    for fold in folds(samples.targets):
        says = learn(Samples(*(tensor[fold.learned] for tensor in samples)))
        places.append(fold.new)
        outputs.append(says(samples.inputs[fold.new]).cpu().double())
        count += 1
    if not count:
        return None
    of = torch.cat(places)
    return HeldOut(of, samples.targets[of].cpu(), torch.cat(outputs), count)


def folds(labels: Tensor) -> Iterator[Fold]:
    """At most `MOST` folds of examples with labels (n,); none if every class has one.

    As many as the largest class has examples, if it has not more; a larger class leaves
    out neighbours together, for pictures taken one after the other are alike.
    """
    classes = sorted(set(labels.tolist()))
    members = [(labels == each).nonzero().flatten() for each in classes]
    several = [places for places in members if len(places) > 1]
    count = min(MOST, max(map(len, several), default=0))
    seen = torch.zeros(len(labels), dtype=torch.bool)
    for number in range(count):
        left_out = torch.cat([_part(places, number, count) for places in several])
        kept = torch.ones(len(labels), dtype=torch.bool)
        kept[left_out] = False
        new = left_out[~seen[left_out]]
        seen[left_out] = True
        yield Fold(kept.nonzero().flatten(), left_out, new)


def _part(places: Tensor, number: int, count: int) -> Tensor:
    """Of a class's examples those that fold `number` of `count` leaves out."""
    if len(places) <= count:
        return places[[number % len(places)]]
    return places.tensor_split(count)[number]
