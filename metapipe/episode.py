"""An episode: a small task, its support set to learn from and its query set to be
judged by.

An episode is a pure function of its `Task`, a handful of integers. The store keeps the
task and never the tensors, any process can draw any episode, and resuming is "go on at
index n".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"
"""Tensors by name, as `torch.func.functional_call` takes them."""

Metrics: TypeAlias = "dict[str, Tensor]"
"""Figures by name; a scalar each for one task, (T,) for a meta-batch of T tasks."""


@dataclass(frozen=True, slots=True)
class Task:
    """The recipe of one episode: the same numbers give the same episode anywhere.

    For regression there are no classes: `ways` is 1, and `shots` and `queries` count
    the points. So for control, where they count trajectories: `shots` those of each
    round that is learned from.
    """

    dataset: str
    split: str
    seed: int
    index: int
    ways: int
    shots: int
    """Support examples of each class; the most of one, if `support` is given."""

    queries: int
    support: int | None = None
    """Support examples in all, where classes have unequal numbers: at least one and at
    most `shots` each, shared out as in Meta-Dataset. `metapipe.data.unequal` makes such
    a recipe."""


class Samples(NamedTuple):
    """Inputs with their targets; of one task, or of T tasks with a leading axis T."""

    inputs: Tensor
    """(n, *shape), or (T, n, *shape); float32 images are in [0, 1],
    unless a data set is asked to normalise them."""

    targets: Tensor
    """int64 labels in [0, ways): (n,) or (T, n). Regression: floats, (n, outputs)."""


class Trajectories(NamedTuple):
    """What a policy did in one task's world, where samples stand in other problems.

    n trajectories of at most H steps. Of a query (n, H, ...); of a support set k rounds
    of them, (k, n, H, ...), each drawn by the policy that adapting to the rounds before
    it gave. Of T tasks with a leading axis T.
    """

    inputs: Tensor
    """Observations before each action, float32 (n, H, *shape)."""

    targets: Tensor
    """Actions as the policy drew them: int64 (n, H), or float32 (n, H, outputs)."""

    rewards: Tensor
    """For each action, float32 (n, H)."""

    real: Tensor
    """bool (n, H): False after the end of a trajectory, where other fields are 0."""

    ends: Tensor
    """bool (n, H): whether an inner episode ended with that action. The world then
    starts anew, and memory goes on; the trajectory ends with its last inner episode."""

    outputs: Tensor
    """What `predict` or `act` said before each action, detached, (n, H, o): ratios and
    divergences need no old network."""

    success: Tensor
    """float32 (n,): 1 if the world said `success` at any step, 0 if not, NaN if the
    world does not say."""


Drawn: TypeAlias = Any
"""A support or query set: `Samples`, or `Trajectories` where the problem is control."""

Set = TypeVar("Set", bound="tuple[Tensor, ...]")


def each(samples: Set, function: Callable[[Tensor], Tensor]) -> Set:
    """`function` of each tensor of a set. Sets are `Samples`, or another named tuple of
    tensors with equal leading axes that stands where samples stand: trajectories."""
    return type(samples)(*map(function, samples))


class Episodes(NamedTuple):
    """A meta-batch of T episodes that have the same ways, shots and queries: sets of
    `Samples`, or of `Trajectories`."""

    tasks: tuple[Task, ...]
    """The T recipes."""

    support: Drawn
    """inputs (T, ways * shots, *shape), targets (T, ways * shots)."""

    query: Drawn
    """inputs (T, ways * queries, *shape), targets (T, ways * queries)."""

    class_indices: Tensor | None = None
    """(T, ways): the data set's class of each label; None for regression."""

    items: Tensor | None = None
    """(T, ways, shots + queries): which items of each class; None for regression."""

    def each(self, function: Callable[[Tensor], Tensor]) -> Episodes:
        """The same recipes, with `function` of each tensor that is computed with: those
        of the samples, and the classes of their labels."""
        classes = None if self.class_indices is None else function(self.class_indices)
        return self._replace(
            support=each(self.support, function),
            query=each(self.query, function),
            class_indices=classes,
        )

    def to(self, device: str) -> Episodes:
        """The same episodes on `device`; which items they are of stays where it is."""
        return self.each(lambda tensor: tensor.to(device))

    def first(self, count: int) -> Episodes:
        """Those of the first tasks."""
        found = self.each(lambda tensor: tensor[:count])
        items = None if self.items is None else self.items[:count]
        return found._replace(tasks=self.tasks[:count], items=items)
