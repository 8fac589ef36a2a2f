"""MAML++: MAML with a loss after every step and a rate for every layer and step.

Antoniou, Edwards & Storkey, "How to Train Your MAML", ICLR 2019. Each trick has its own
switch; with all of them off it is MAML. Cosine annealing is the run's
`training.schedule`, and the mean of the best checkpoints `evaluation.ensemble`.
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
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    UnsupportedError,
    hookimpl,
)
from metapipe.numerics import (
    apply,
    inner_loop,
    normalisation_names,
    own,
    partition,
    require_own_layers,
    support_loss,
    support_statistics,
    task_loss,
    within,
)
from metapipe_plugins.parts.networks.still_normalisation import still_normalisation

RATE, STEP = "rate.", "step."
"""Prefixes, among the meta-parameters, of the step sizes, and of the scales and shifts
of each step."""

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
        "section 4: multi-step loss, derivative-order annealing, per-step batch "
        "normalisation weights and biases, per-layer per-step learning rates; cosine "
        "annealing by training.schedule"
    )
    departures: ClassVar[str] = (
        "no running statistics: the batch at hand normalises, as in the released code, "
        "which keeps them and never uses them; scales and shifts are shared by the "
        "steps unless step_normalisation; the reference tests the mean of the five "
        "best checkpoints: evaluation.ensemble=5"
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

    step_normalisation: bool = False
    """Whether every step has scales and shifts of normalisation layers of its own,
    meta-learned and not moved by the inner loop."""

    statistics: Literal["batch", "support"] = "batch"
    """Whose statistics normalisation layers use for queries: those of the batch at
    hand, so that queries predicted together see each other (transductive), or those of
    the support set after each step (inductive, which is no MAML++'s in print)."""

    def groups(self) -> Sequence[Group]:
        """Step sizes are learned, and not to be decayed."""
        return (Group(RATE, decays=False),)

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model with its head."""
        network = super().build(model, problem)
        norms = normalisation_names(network)
        if norms and self.step_normalisation and self.adapt_normalisation:
            raise UnsupportedError(
                "algorithm.step_normalisation: scales and shifts of every step are not "
                "moved by the inner loop; leave algorithm.adapt_normalisation out"
            )
        if self.statistics == "support":
            require_own_layers(network)
        return network

    def init(self, network: nn.Module) -> Meta:
        """theta, with scales and shifts (steps, channels) if each step has its own; the
        rates (steps,) of each tensor, and a counter."""
        meta, steps = Meta.of(network), self.inner_steps
        norms, others = partition(meta.params, normalisation_names(network))
        _, moved = partition(meta.params, still_normalisation(self, network))
        rates = {
            RATE + name: p.new_full((steps,), self.inner_lr)
            for name, p in moved.items()
            if self.learn_rates
        }
        theta = meta.params
        if norms and self.step_normalisation:
            each = {STEP + n: p.expand(steps, *p.shape) for n, p in norms.items()}
            theta = {**others, **{name: p.clone() for name, p in each.items()}}
        counter = next(iter(meta.params.values())).new_zeros(())
        return Meta({**theta, **rates}, {**meta.state, ITERATION: counter})

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """theta after all steps; and the statistics of the support set
        (`statistics.*`), if queries are normalised by them."""
        found = self._descend(network, meta.params, support, second_order=False)
        return self._complete(network, found[-1], support)

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """theta itself; none if queries need statistics of a support set."""
        if self.statistics == "support":
            return None
        return {**_theta(meta.params), **_of_step(meta.params, 0)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters, and statistics."""
        statistics = within(adapted, "statistics")
        return apply(network, own(network, adapted), inputs, state=statistics)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the weighted sum of the query losses after each step; the figures are
        those after the last."""
        done = int(meta.state[ITERATION])
        progress = done / self.multi_step_iterations if self.multi_step else 1.0
        weights = step_weights(self.inner_steps, progress)
        second_order = done >= self.first_order_iterations

        def query_loss(
            params: Params, support: Samples, query: Samples
        ) -> tuple[Tensor, Metrics]:
            steps = self._descend(network, params, support, second_order=second_order)
            losses = []
            for weight, step in zip(weights, steps, strict=True):
                if weight:
                    adapted = self._complete(network, step, support)
                    outputs = self.predict(network, meta, adapted, query.inputs)
                    losses.append((weight, *task_loss(outputs, query.targets)))
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
        """All parameters of the network after each step; queries have the scales and
        shifts of that step."""
        theta = _theta(params)
        fixed, theta = partition(theta, still_normalisation(self, network))
        found = []
        for step in range(self.inner_steps):
            here = {**fixed, **_of_step(params, step)}
            theta = inner_loop(
                support_loss(network, support, here),
                theta,
                lr=self._rates(params, theta, step),
                steps=1,
                second_order=second_order,
            )
            found.append({**theta, **here})
        return found

    def _complete(self, network: nn.Module, step: Params, support: Samples) -> Params:
        """All that predicting a query needs after a step."""
        if self.statistics == "batch":
            return step
        found = support_statistics(network, step, support.inputs)
        return {**step, **{f"statistics.{k}": value for k, value in found.items()}}

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
    return {k: p for k, p in params.items() if not k.startswith((RATE, STEP))}


def _of_step(params: Params, step: int) -> Params:
    """Scales and shifts that a step has of its own."""
    return {name: p[step] for name, p in within(params, STEP[:-1]).items()}


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer MAML++."""
    register("maml++", MAMLPlusPlus)
