"""Reptile: move the initialisation towards the parameters that tasks end up with.

Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms", 2018. Nothing is
differentiated through, and training needs no query set. Algorithm and section numbers
below are those of the paper; details are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Drawn,
    Episodes,
    Kind,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    Trajectories,
    hookimpl,
)
from metapipe.data import fixed_order
from metapipe.numerics import (
    apply,
    before_adaptation,
    by_step,
    gradient,
    policy,
    query_loss,
    support_loss,
)

MOMENT = "moment."
"""Prefix of Adam's second moments in the state."""

STEPS = "moment_steps"
"""In the state: how many inner steps the moments have seen."""

DECAY = 0.999
"""Adam's beta2; its beta1 is 0, momentum hurts."""

EPSILON = 1e-8


class Inner(NamedTuple):
    """Where the inner loop is."""

    params: Params
    moments: Params
    steps: Tensor


class Reptile(Algorithm):
    """Train on each task for a while; follow the mean of where that leads."""

    paper: ClassVar[str] = (
        "Nichol, Achiam & Schulman, 2018, https://arxiv.org/abs/1803.02999"
    )
    equations: ClassVar[str] = (
        "algorithm 1 (with --tasks 1) and algorithm 2, its batched form; evaluation of "
        "section 6.1 by --prediction together (transductive) or alone"
    )
    departures: ClassVar[str] = (
        "with several tasks, Adam's second moments are the mean of the tasks', where "
        "the reference trains them one after the other: they decay once a meta-batch "
        "instead of once a task; a mini-batch larger than the task is cut, where the "
        "reference repeats examples; the head begins as torch's layers do"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"classification", "regression", "control"}
    )
    recommended: ClassVar[dict[str, object]] = {
        "model.features": "flatten",
        "model.scale": True,
        "task.shots": 10,
        "task.queries": 1,
        "training.tasks": 5,
        "training.optimiser": "sgd",
        "training.lr": 1.0,
        "training.schedule": "linear",
        "evaluation.shots": 1,
    }

    inner_optimiser: Literal["adam", "sgd"] = "adam"
    """Adam without momentum (beta1 = 0) as in the reference, or plain gradient
    descent."""

    inner_lr: PositiveFloat = 0.001
    """Step size of the inner optimiser."""

    inner_steps: PositiveInt = 5
    """Steps on each task in training (k)."""

    inner_batch: PositiveInt = 10
    """Examples in a mini-batch of these steps."""

    test_steps: PositiveInt = 50
    """Steps on the support set when evaluated or used."""

    test_batch: PositiveInt = 5
    """Examples in a mini-batch of these steps."""

    moments: Literal["shared", "fresh"] = "shared"
    """Adam's second moments: kept from task to task, and where training left them when
    evaluated (the reference; of a meta-batch the mean is kept), or zero for each."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model with its head; a policy in worlds."""
        return policy(model, problem, self.statistics)

    def init(self, network: nn.Module) -> Meta:
        """The network's own parameters, phi, and Adam's moments."""
        meta = Meta.of(network)
        moments = {MOMENT + k: torch.zeros_like(p) for k, p in meta.params.items()}
        steps = next(iter(meta.params.values())).new_zeros(())
        return Meta(meta.params, {**moments, STEPS: steps})

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """`test_steps` on mini-batches of the support set; all parameters move. In
        worlds, a step on each round of trajectories."""
        if isinstance(support, Trajectories):
            return self._train(network, meta, by_step(support, 0)).params
        count = support.targets.shape[0]
        order = fixed_order(count, self.test_steps * min(self.test_batch, count))
        rows = torch.from_numpy(order).to(support.inputs.device)
        batches = Samples(*(tensor[rows] for tensor in support))
        parts = _cut(batches, self.test_steps)
        return self._train(network, meta, parts).params

    def rounds(self, *, training: bool) -> int:
        """One for each step."""
        return self.inner_steps if training else self.test_steps

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """The initialisation itself."""
        return meta.params

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters."""
        return apply(network, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """phi minus the mean of the tasks' results (algorithm 2, last line), so that
        plain gradient descent with step size epsilon is Reptile's update. The query set
        serves the figures only."""

        def results(support: Drawn, query: Drawn) -> Metrics:
            inner = self._train(network, meta, _cut(support, self.inner_steps))
            figures = _figures(network, inner.params, query)
            before = before_adaptation(_figures(network, meta.params, query))
            moments = {MOMENT + k: m for k, m in inner.moments.items()}
            return {**inner.params, **moments, **figures, **before}

        with torch.no_grad():
            found = over(results, self.mini_batches(episodes))
        grads = {k: p - found.pop(k).mean(0) for k, p in meta.params.items()}
        state = {k: found.pop(k).mean(0) for k in meta.state if k != STEPS}
        return Step(grads, found, self._kept(meta, state))

    def _kept(self, meta: Meta, moments: Params) -> Params:
        """The new state."""
        if not self._carries:
            return meta.state
        return {**moments, STEPS: meta.state[STEPS] + self.inner_steps}

    @property
    def _carries(self) -> bool:
        """Whether moments go from a meta-iteration to the next: gradient descent has
        none."""
        return self.inner_optimiser == "adam" and self.moments == "shared"

    def mini_batches(self, episodes: Episodes) -> Episodes:
        """With the support sets laid out as the mini-batches to come, one after the
        other: each set is shuffled, used up, and shuffled again. Rounds of trajectories
        stay as they are."""
        if isinstance(episodes.support, Trajectories):
            return episodes
        tasks, count = episodes.support.targets.shape[:2]
        length = self.inner_steps * min(self.inner_batch, count)
        passes = -(-length // count)
        orders = torch.rand(tasks, passes, count).argsort(-1).flatten(1)[:, :length]
        orders = orders.to(episodes.support.inputs.device)
        rows = torch.arange(tasks, device=orders.device)[:, None]
        support = Samples(*(t[rows, orders] for t in episodes.support))
        return episodes._replace(support=support)

    def _train(self, network: nn.Module, meta: Meta, parts: Sequence[Drawn]) -> Inner:
        """A step of the inner optimiser on each part, from phi on."""
        inner = self._start(meta)
        for part in parts:
            grads, _ = gradient(support_loss(network, part), inner.params)
            inner = self._step(inner, grads)
        return inner

    def _start(self, meta: Meta) -> Inner:
        moments = {k: meta.state[MOMENT + k] for k in meta.params}
        if self._carries:
            return Inner(meta.params, moments, meta.state[STEPS])
        fresh = {k: torch.zeros_like(m) for k, m in moments.items()}
        return Inner(meta.params, fresh, torch.zeros_like(meta.state[STEPS]))

    def _step(self, inner: Inner, grads: Params) -> Inner:
        """One step of Adam with beta1 = 0, or of gradient descent."""
        lr = self.inner_lr
        if self.inner_optimiser == "sgd":
            params = {k: p - lr * grads[k] for k, p in inner.params.items()}
            return inner._replace(params=params)
        steps = inner.steps + 1
        moments = {
            k: DECAY * m + (1 - DECAY) * grads[k] ** 2 for k, m in inner.moments.items()
        }
        rate = lr * (1 - DECAY**steps).sqrt()  # the reference corrects the rate
        params = {
            k: p - rate * grads[k] / (moments[k].sqrt() + EPSILON)
            for k, p in inner.params.items()
        }
        return Inner(params, moments, steps)


def _cut(batches: Drawn, steps: int) -> Sequence[Drawn]:
    """The mini-batches that were laid out one after the other, or the rounds."""
    if isinstance(batches, Trajectories):
        return by_step(batches, steps)
    size = batches.targets.shape[0] // steps
    cuts = [slice(step * size, (step + 1) * size) for step in range(steps)]
    return [Samples(*(tensor[cut] for tensor in batches)) for cut in cuts]


def _figures(network: nn.Module, params: Params, query: Drawn) -> Metrics:
    return query_loss(lambda inputs: apply(network, params, inputs), query)[1]


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer Reptile."""
    register("reptile", Reptile)
