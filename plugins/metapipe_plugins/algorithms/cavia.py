"""CAVIA: only a small context vector is adapted to a task, the network is shared.

Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson, "Fast Context Adaptation via
Meta-Learning", ICML 2019. The context is concatenated to inputs that are vectors
(section 3.3); images are modulated by it (FiLM) at their feature vector, where the
paper's network does so after its third convolution.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
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
    UnsupportedError,
    hookimpl,
)
from metapipe.numerics import (
    BatchNorm,
    apply,
    inner_loop,
    task_loss,
)
from metapipe_plugins.parts.heads.features import (
    feature_length,
    model_head,
    vector_features,
)


class CAVIA(Algorithm):
    """Fit a context vector to the support set by gradient descent."""

    paper: ClassVar[str] = (
        "Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson, ICML 2019, "
        "https://arxiv.org/abs/1810.03642"
    )
    equations: ClassVar[str] = (
        "eq. 3 and 4: the context descends, everything else learns through it"
    )
    departures: ClassVar[str] = (
        "images are modulated at their feature vector, where the paper does so after "
        "the third convolution, and by 1 + the context's scale, so that an untrained "
        "context changes nothing"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification", "regression"})

    context: NonNegativeInt = 5
    """Length of the context vector; 100 for images in the paper."""

    inner_lr: PositiveFloat = 1.0
    """Step size of the inner loop, for the mean support loss."""

    inner_steps: PositiveInt = 1
    """Gradient steps of the context, from zero, in training and when used."""

    first_order: bool = False
    """Drop second derivatives."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model, taking the context beside the input or at its features."""
        if len(problem.shape) == 1:
            wide = (problem.shape[0] + self.context,)
            network = model.build(wide, problem.outputs, self.statistics)
            _require_unnormalised(network)
            return Concatenated(network, self.context)
        body = vector_features(model, problem, self.statistics)
        length = feature_length(body, problem.shape)
        head = model_head(model, problem, self.statistics, length)
        return Modulated(body, head, length, self.context)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The context (context,)."""
        return self._descend(network, meta.params, support, second_order=False)

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """The context zero."""
        return self._zero(meta.params)

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the shared network in the adapted context."""
        return apply(network, meta.params, inputs, adapted["context"])

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the mean query loss in the adapted context, for the network (eq. 4)."""

        def query_loss(
            params: Params, support: Samples, query: Samples
        ) -> tuple[Tensor, Metrics]:
            adapted = self._descend(
                network, params, support, second_order=not self.first_order
            )
            outputs = apply(network, params, query.inputs, adapted["context"])
            return task_loss(outputs, query.targets)

        grads, metrics = over.gradient(query_loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def _descend(
        self,
        network: nn.Module,
        params: Params,
        support: Samples,
        *,
        second_order: bool,
    ) -> Params:
        """The context descends from zero on the support loss (eq. 3)."""

        def loss(adapted: Params) -> tuple[Tensor, Metrics]:
            outputs = apply(network, params, support.inputs, adapted["context"])
            return task_loss(outputs, support.targets)

        zero = self._zero(params)
        steps = self.inner_steps
        return inner_loop(
            loss, zero, lr=self.inner_lr, steps=steps, second_order=second_order
        )

    def _zero(self, params: Params) -> Params:
        """Made from a parameter, so that it tells the inner loop as they do whether
        anybody wants to differentiate through it."""
        zero = next(iter(params.values())).flatten()[:1] * 0
        return {"context": zero.expand(self.context)}


class Concatenated(nn.Module):
    """The context beside every input."""

    def __init__(self, network: nn.Module, context: int) -> None:
        super().__init__()
        self.network, self.context = network, context

    def forward(self, inputs: Tensor, context: Tensor) -> Tensor:
        """(n, d) and (context,) -> (n, outputs)."""
        beside = context.expand(*inputs.shape[:-1], self.context)
        return self.network(torch.cat([inputs, beside], -1))  # type: ignore[no-any-return]


class Modulated(nn.Module):
    """Features, scaled and shifted as the context says, and a head."""

    def __init__(
        self, body: nn.Module, head: nn.Module, length: int, context: int
    ) -> None:
        super().__init__()
        self.body = body
        self.scale = nn.Linear(context, length, bias=False)
        self.shift = nn.Linear(context, length, bias=False)
        self.head = head

    def forward(self, inputs: Tensor, context: Tensor) -> Tensor:
        """(n, *shape) and (context,) -> (n, outputs)."""
        features = self.body(inputs) * (1 + self.scale(context)) + self.shift(context)
        return self.head(features)  # type: ignore[no-any-return]


def _require_unnormalised(network: nn.Module) -> None:
    """A context that is the same for the whole batch is what batch statistics take
    away: nothing would be adapted."""
    if any(
        isinstance(module, BatchNorm | nn.BatchNorm1d) for module in network.modules()
    ):
        raise UnsupportedError(
            "cavia gives a vector's whole batch one context, which batch normalisation "
            "subtracts again: use -s model.normalise=false"
        )


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer CAVIA."""
    register("cavia", CAVIA)
