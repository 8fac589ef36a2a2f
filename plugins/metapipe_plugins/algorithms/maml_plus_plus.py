"""MAML++: MAML with a loss after every step and a rate for every layer and step.

Antoniou, Edwards & Storkey, "How to Train Your MAML", ICLR 2019. Each trick has its own
switch; with all of them off it is MAML. Cosine annealing is the run's
`training.schedule`. Normalisation uses the batch at hand, as the released code in fact
does, with scales and shifts shared by the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Group,
    Kind,
    Meta,
    Metrics,
    Params,
    Register,
    Samples,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import (
    apply,
    descend,
    gradient,
    normalisation_names,
    partition,
    support_loss,
    task_loss,
)

RATE = "rate."
"""Prefix of the step sizes among the meta-parameters."""

ITERATION = "iteration"
"""In the state: meta-iterations done, which the annealing goes by."""

LEAST = 0.03
"""A step's share of the annealed multi-step loss never falls below this / steps."""


class MAMLPlusPlus(Algorithm):
    """MAML that is easier to train: learned rates and a loss after every step."""

    paper: ClassVar[str] = (
        "Antoniou, Edwards & Storkey, ICLR 2019, https://arxiv.org/abs/1810.09502"
    )
    equations: ClassVar[str] = (
        "section 4: multi-step loss, derivative-order annealing, per-layer per-step "
        "learning rates; cosine annealing by training.schedule"
    )
    departures: ClassVar[str] = (
        "scales, shifts and statistics of normalisation layers are shared by the "
        "steps, which use the batch at hand; one checkpoint is tested, where the "
        "reference averages the five best"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification", "regression"})
    recommended: ClassVar[dict[str, object]] = {
        "training.schedule": "cosine",
        "training.final_lr": 1e-5,
    }

    inner_lr: PositiveFloat = 0.1
    """Every step size before training, for the mean support loss."""

    inner_steps: PositiveInt = 5
    """Gradient steps on the support set, in training and when used."""

    learn_rates: bool = True
    """Whether there is a learned step size for every parameter tensor and step."""

    multi_step: bool = True
    """Whether the query loss after every step counts, annealed to the last alone."""

    multi_step_iterations: PositiveInt = 500
    """Meta-iterations after which the last step's loss counts alone; the reference's
    are a tenth of a training of 50,000."""

    first_order_iterations: NonNegativeInt = 0
    """Meta-iterations at the beginning without second derivatives."""

    adapt_normalisation: bool = False
    """Whether the inner loop also moves the parameters of normalisation layers."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def groups(self) -> Sequence[Group]:
        """Step sizes are learned, and not to be decayed."""
        return (Group(RATE, decays=False),)

    def init(self, network: nn.Module) -> Meta:
        """theta, the rates (steps,) of each tensor, and a counter."""
        meta = Meta.of(network)
        fixed = set() if self.adapt_normalisation else normalisation_names(network)
        rates = {
            RATE + name: p.new_full((self.inner_steps,), self.inner_lr)
            for name, p in meta.params.items()
            if self.learn_rates and name not in fixed
        }
        counter = next(iter(meta.params.values())).new_zeros(())
        return Meta({**meta.params, **rates}, {**meta.state, ITERATION: counter})

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """theta after all steps."""
        return self._descend(network, meta.params, support, second_order=False)[-1]

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """theta itself."""
        return _theta(meta.params)

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters."""
        return apply(network, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the weighted sum of the query losses after each step; the figures are
        those after the last."""
        done = int(meta.state[ITERATION])
        weights = step_weights(self.inner_steps, done / self.multi_step_iterations)
        if not self.multi_step:
            weights = [0.0] * (self.inner_steps - 1) + [1.0]
        second_order = done >= self.first_order_iterations

        def query_loss(
            params: Params, support: Samples, query: Samples
        ) -> tuple[Tensor, Metrics]:
            steps = self._descend(network, params, support, second_order=second_order)
            losses = [
                (weight, *task_loss(apply(network, step, query.inputs), query.targets))
                for weight, step in zip(weights, steps, strict=True)
                if weight
            ]
            total = torch.stack([weight * loss for weight, loss, _ in losses]).sum()
            return total, losses[-1][2]

        grads, metrics = over.gradient(query_loss, meta.params, episodes)
        state = {**meta.state, ITERATION: meta.state[ITERATION] + 1}
        return Step(grads, metrics, state)

    def _descend(
        self,
        network: nn.Module,
        params: Params,
        support: Samples,
        *,
        second_order: bool,
    ) -> list[Params]:
        """All parameters after each step."""
        theta = _theta(params)
        fixed: Params = {}
        if not self.adapt_normalisation:
            fixed, theta = partition(theta, normalisation_names(network))
        loss = support_loss(network, support, fixed)
        found = []
        for step in range(self.inner_steps):
            grads, _ = gradient(loss, theta, second_order=second_order)
            theta = descend(theta, grads, self._rates(params, theta, step))
            found.append({**theta, **fixed})
        return found

    def _rates(self, params: Params, theta: Params, step: int) -> float | Params:
        if not self.learn_rates:
            return self.inner_lr
        return {name: params[RATE + name][step] for name in theta}


def step_weights(steps: int, progress: float) -> list[float]:
    """How much the query loss after each step counts; `progress` 1 ends the annealing.

    They sum to 1; at first all are alike, and in the end the last counts alone.
    """
    if progress >= 1:
        return [0.0] * (steps - 1) + [1.0]
    early = max((1 - progress) / steps, LEAST / steps)
    last = min((1 + progress * (steps - 1)) / steps, 1 - (steps - 1) * LEAST / steps)
    return [early] * (steps - 1) + [last]


def _theta(params: Params) -> Params:
    return {k: p for k, p in params.items() if not k.startswith(RATE)}


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer MAML++."""
    register("maml++", MAMLPlusPlus)
