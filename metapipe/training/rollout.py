"""Episodes of an arena: what a learner does in worlds, round by round.

Once drawn, trajectories are data, and every loss is a pure function of them: they stand
where samples stand. Everything follows from the tasks' integers and the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from ..algorithm import Meta, Recurrent, Seen
from ..data.acting import action_noise, play
from ..dataset import Arena, Source
from ..episode import Drawn, Episodes, Metrics, Params, Task, Trajectories, each
from ..errors import PluginError
from ..numerics.functional import vectorised
from ..numerics.policy import chosen
from .device import memory_told
from .learner import Learner


def draw(
    learner: Learner,
    meta: Meta,
    source: Source,
    tasks: Sequence[Task],
    *,
    training: bool = False,
) -> Episodes:
    """The episodes of `tasks` on the learner's device: drawn, or played in worlds."""
    if isinstance(source, Arena):
        return collect(learner, meta, source, tasks, training=training)
    with memory_told(learner.device):
        return source.draw(tasks).to(learner.device)


def collect(
    learner: Learner,
    meta: Meta,
    arena: Arena,
    tasks: Sequence[Task],
    *,
    training: bool,
) -> Episodes:
    """Act, adapt to the rounds so far, and so on; then act for the query.

    Support sets are (T, k, n, H, ...): k rounds of `shots` trajectories, as many rounds
    as the method asks for; none for `shots` 0. Queries are (T, n, H, ...).
    """
    meta = Meta({k: p.detach() for k, p in meta.params.items()}, meta.state)
    shots, queries = tasks[0].shots, tasks[0].queries
    count = learner.algorithm.rounds(training=training) if shots else 0
    rounds: list[Trajectories] = []
    with torch.no_grad(), learner.computing():
        for number in range(count):
            name = f"round {number}"
            rounds.append(_played(learner, meta, rounds, arena, tasks, shots, name))
        query = _played(learner, meta, rounds, arena, tasks, queries, "query")
    return Episodes(tuple(tasks), _support(rounds, query), query)


def _support(rounds: Sequence[Trajectories], query: Trajectories) -> Trajectories:
    """Rounds side by side, (T, k, n, H, ...)."""
    if not rounds:
        return each(query, lambda t: t.new_zeros((len(t), 0, *t.shape[1:])))
    return Trajectories(*(torch.stack(parts, 1) for parts in zip(*rounds, strict=True)))


def adapted(learner: Learner, meta: Meta, episodes: Episodes) -> Params:
    """What each task learned of its rounds, (T, ...)."""

    def adapt(support: Drawn, _: Drawn) -> Metrics:
        return learner.algorithm.adapt(learner.network, meta, support, 1)

    with torch.no_grad(), learner.computing():
        return learner.mapping(adapt, episodes)


def _played(
    learner: Learner,
    meta: Meta,
    rounds: Sequence[Trajectories],
    arena: Arena,
    tasks: Sequence[Task],
    copies: int,
    name: str,
) -> Trajectories:
    """So many trajectories of each task, by what it learned of its rounds so far."""
    if rounds:
        so_far = Episodes(tuple(tasks), _support(rounds, rounds[0]), rounds[-1])
        own = adapted(learner, meta, so_far)
        policy: _Policy = _OfTasks(learner, meta, own, copies)
    else:
        policy = _Policy(learner, meta, _first(learner, meta), len(tasks) * copies)
    noise = action_noise(arena, tasks, copies, name)

    def act(seen: Seen, step: int) -> tuple[Tensor, Tensor]:
        outputs = policy.say(each(seen, lambda tensor: tensor.to(learner.device))).cpu()
        return chosen(learner.problem, outputs, noise[step]), outputs

    drawn = play(arena, tasks, copies, name, act)
    return each(drawn, lambda tensor: tensor.to(learner.device))


def _first(learner: Learner, meta: Meta) -> Params:
    """The policy that all tasks begin with."""
    known = learner.algorithm.unadapted(learner.network, meta)
    if known is None:
        raise PluginError(
            f"{type(learner.algorithm).__name__}.unadapted returns None: of control it "
            "is the policy that acts first"
        )
    return known


class _Policy:
    """A policy in so many trajectories, with what it remembers of them if it does."""

    def __init__(
        self, learner: Learner, meta: Meta, adapted: Params, count: int
    ) -> None:
        self.learner, self.meta, self.adapted = learner, meta, adapted
        self.memory: Params | None = None
        if isinstance(learner.algorithm, Recurrent):
            self.memory = self._begin(learner.algorithm, count)

    def say(self, seen: Seen) -> Tensor:
        """Outputs for the next step, (n, o)."""
        algorithm = self.learner.algorithm
        if isinstance(algorithm, Recurrent) and self.memory is not None:
            outputs, self.memory = self._act(algorithm, self.memory, seen)
            return outputs
        return self._predict(seen.inputs)

    def _begin(self, algorithm: Recurrent, count: int) -> Params:
        return algorithm.begin(self.learner.network, self.meta, self.adapted, count)

    def _act(
        self, algorithm: Recurrent, memory: Params, seen: Seen
    ) -> tuple[Tensor, Params]:
        network = self.learner.network
        return algorithm.act(network, self.meta, self.adapted, memory, seen)

    def _predict(self, inputs: Tensor) -> Tensor:
        algorithm, network = self.learner.algorithm, self.learner.network
        return algorithm.predict(network, self.meta, self.adapted, inputs)


class _OfTasks(_Policy):
    """A policy for each task, in so many trajectories each: tensors are (T, ...)."""

    def say(self, seen: Seen) -> Tensor:
        """Outputs for the next step of all, (T * n, o)."""
        tasks = len(next(iter(self.adapted.values())))
        grouped = each(seen, lambda t: t.reshape(tasks, -1, *t.shape[1:]))
        return super().say(grouped).flatten(0, 1)

    def _begin(self, algorithm: Recurrent, count: int) -> Params:
        network, meta = self.learner.network, self.meta
        found = _mapped(
            lambda mine: algorithm.begin(network, meta, mine, count), self.adapted
        )
        return cast(Params, found)

    def _act(
        self, algorithm: Recurrent, memory: Params, seen: Seen
    ) -> tuple[Tensor, Params]:
        act = partial(algorithm.act, self.learner.network, self.meta)
        found = _mapped(act, self.adapted, memory, seen)
        return cast(tuple[Tensor, Params], found)

    def _predict(self, inputs: Tensor) -> Tensor:
        predict = partial(
            self.learner.algorithm.predict, self.learner.network, self.meta
        )
        return cast(Tensor, _mapped(predict, self.adapted, inputs))


def _mapped(function: Callable[..., Any], *groups: Any) -> Any:
    """Over tasks, at once."""
    token = vectorised.set(True)
    try:
        return torch.func.vmap(function)(*groups)
    finally:
        vectorised.reset(token)
