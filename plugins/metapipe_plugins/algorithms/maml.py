"""Model-agnostic meta-learning (MAML), second and first order.

Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
Networks", ICML 2017. Equation and algorithm numbers below are those of the paper.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
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
    Predict,
    Problem,
    Register,
    Step,
    TaskMap,
    UnsupportedError,
    hookimpl,
)
from metapipe.numerics import (
    apply,
    before_adaptation,
    by_step,
    inner_loop,
    own,
    partition,
    policy,
    query_loss,
    require_own_layers,
    support_loss,
    support_statistics,
    task_loss,
    within,
)
from metapipe_plugins.parts.networks.still_normalisation import still_normalisation


class MAML(Algorithm):
    """Learn an initialisation that a few gradient steps turn into a good predictor."""

    paper: ClassVar[str] = (
        "Finn, Abbeel & Levine, ICML 2017, https://arxiv.org/abs/1703.03400"
    )
    equations: ClassVar[str] = (
        "eq. 1 and algorithm 2 (1 for regression, 3 for control, whose outer step is "
        "plain descent, not TRPO); first order: section 5.2"
    )
    departures: ClassVar[str] = (
        "clipping is of the gradient's norm (the reference: each element, to 10); "
        "test_steps is training's unless given (the reference: 3 for Omniglot, 10 for "
        "mini-ImageNet); the head begins as torch's layers do (model.head=normal is "
        "the Omniglot code's)"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"classification", "regression", "control"}
    )

    inner_lr: PositiveFloat = 0.4
    """Step size of the inner loop (alpha in eq. 1), for the loss of `inner_loss`."""

    inner_steps: PositiveInt = 1
    """Gradient steps on the support set in training."""

    test_steps: NonNegativeInt | None = None
    """Gradient steps when evaluated or used; as in training if not given."""

    first_order: bool = False
    """Drop second derivatives (FOMAML, section 5.2): cheaper, often nearly as good."""

    inner_loss: Literal["reference", "mean"] = "reference"
    """Scale of the support loss in classification: the reference code sums over the
    support set and divides by the shots, which is `ways` times the mean."""

    adapt_normalisation: bool = False
    """Whether the inner loop also moves the parameters of normalisation layers."""

    curve: bool = False
    """Also judge after every step, from none on, when evaluated: the curves
    `loss_by_step` and `accuracy_by_step`."""

    statistics: Literal["batch", "support"] = "batch"
    """Whose statistics normalisation layers use for queries: those of the batch at
    hand, so that queries predicted together see each other (transductive), or those of
    the support set after adaptation (inductive, which is no MAML's in print)."""

    def check(self, trained: Problem, asked: Problem) -> None:
        """As anywhere; statistics of a support set are of samples."""
        super().check(trained, asked)
        if trained.kind == "control" and self.statistics == "support":
            raise UnsupportedError(
                "statistics = support is for samples, and control has trajectories: "
                "use -s algorithm.statistics=batch"
            )

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model with its head; a policy in worlds."""
        network = policy(model, problem, self.statistics)
        if self.statistics == "support":
            require_own_layers(network)
        return network

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """`test_steps` of gradient descent on the support loss; and the statistics of
        the support set (`statistics.*`), if queries are normalised by them."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        adapted = self._descend(network, meta.params, support, steps)
        return self._complete(network, adapted, support)

    def rounds(self, *, training: bool) -> int:
        """One for each step."""
        if training or self.test_steps is None:
            return self.inner_steps
        return self.test_steps

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """The initialisation itself; none if queries need statistics of a support
        set."""
        return meta.params if self.statistics == "batch" else None

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters, and statistics."""
        statistics = within(adapted, "statistics")
        return apply(network, own(network, adapted), inputs, state=statistics)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Gradient of the mean query loss at theta' (algorithm 2, line 10)."""

        def loss(
            params: Params, support: Drawn, query: Drawn
        ) -> tuple[Tensor, Metrics]:
            adapted = self._descend(network, params, support, self.inner_steps)
            adapted = self._complete(network, adapted, support)
            return query_loss(
                lambda inputs: self.predict(network, meta, adapted, inputs), query
            )

        grads, metrics = over.gradient(loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def judge(
        self,
        network: nn.Module,
        meta: Meta,
        support: Drawn,
        query: Drawn,
        predict: Predict,
    ) -> Metrics | None:
        """With `curve`, figures after every step of adaptation."""
        if not self.curve:
            return None
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        adapted, points = meta.params, []
        for step in range(steps + 1):
            if step:
                adapted = self._descend(network, adapted, support, 1)
            outputs = predict(self._complete(network, adapted, support))
            points.append(task_loss(outputs, query.targets)[1])
        curves = {
            f"{name}_by_step": torch.stack([point[name] for point in points])
            for name in points[0]
        }
        return {**points[-1], **before_adaptation(points[0]), **curves}

    def fixed(self, network: nn.Module) -> Collection[str]:
        """Names of the parameters that the inner loop leaves as they are."""
        return still_normalisation(self, network)

    def _complete(self, network: nn.Module, adapted: Params, support: Drawn) -> Params:
        """All that predicting a query needs."""
        if self.statistics == "batch":
            return adapted
        found = support_statistics(network, adapted, support.inputs)
        return {**adapted, **{f"statistics.{k}": value for k, value in found.items()}}

    def _descend(
        self, network: nn.Module, params: Params, support: Drawn, steps: int
    ) -> Params:
        """theta' = theta - alpha * gradient of the support loss (eq. 1), repeatedly."""
        fixed, params = partition(params, self.fixed(network))
        for part in by_step(support, steps):
            params = inner_loop(
                support_loss(network, part, fixed, scale=self.inner_loss),
                params,
                lr=self.inner_lr,
                steps=1,
                second_order=not self.first_order,
            )
        return {**params, **fixed}


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer MAML."""
    register("maml", MAML)
