"""ProtoMAML: MAML whose head begins, in each task, as a prototypical network's.

Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from
Few Examples", ICLR 2020, section 3.2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import (
    apply,
    inner_loop,
    own,
    partition,
    task_loss,
)
from metapipe_plugins.parts.heads.features import vector_features
from metapipe_plugins.parts.heads.prototypes import prototypes
from metapipe_plugins.parts.networks.still_normalisation import still_normalisation

WEIGHT, BIAS = "prototype.weight", "prototype.bias"
"""Of the head, which is the task's and nobody else's."""


class ProtoMAML(Algorithm):
    """Learn features from which a head of prototypes adapts in a few gradient steps."""

    paper: ClassVar[str] = (
        "Triantafillou et al., ICLR 2020, https://arxiv.org/abs/1903.03096"
    )
    equations: ClassVar[str] = (
        "section 3.2: w = 2c and b = -|c|^2 of each prototype c, then MAML's inner "
        "loop on features and head, differentiated from the prototypes on"
    )
    departures: ClassVar[str] = (
        "second order unless first_order is on, where the authors' code is of the first"
    )
    any_ways: ClassVar[bool] = True

    inner_lr: PositiveFloat = 0.1
    """Step size of the inner loop, for the mean support loss."""

    inner_steps: PositiveInt = 5
    """Gradient steps on the support set in training."""

    test_steps: NonNegativeInt | None = None
    """Gradient steps when evaluated or used; as in training if not given."""

    first_order: bool = False
    """Drop second derivatives; the beginning of the head is still differentiated."""

    adapt_normalisation: bool = False
    """Whether the inner loop also moves the parameters of normalisation layers."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head."""
        return vector_features(model, problem, self.statistics)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Features and head (`prototype.*`) after `test_steps` of gradient descent."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        return self._descend(network, meta.params, support, ways, steps)

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits (m, ways) of the adapted features and head."""
        return _outputs(network, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Gradient of the mean query loss after adaptation, for the features."""
        ways = episodes.tasks[0].ways

        def query_loss(
            params: Params, support: Samples, query: Samples
        ) -> tuple[Tensor, Metrics]:
            steps = self.inner_steps
            adapted = self._descend(network, params, support, ways, steps)
            return task_loss(_outputs(network, adapted, query.inputs), query.targets)

        grads, metrics = over.gradient(query_loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def _descend(
        self,
        network: nn.Module,
        params: Params,
        support: Samples,
        ways: int,
        steps: int,
    ) -> Params:
        """From the prototypes on."""
        features = apply(network, params, support.inputs)
        centres = prototypes(features, support.targets, ways)
        head = {WEIGHT: 2 * centres, BIAS: -(centres**2).sum(-1)}
        fixed, moving = partition(params, still_normalisation(self, network))

        def loss(adapted: Params) -> tuple[Tensor, Metrics]:
            outputs = _outputs(network, {**adapted, **fixed}, support.inputs)
            return task_loss(outputs, support.targets)

        adapted = inner_loop(
            loss,
            {**moving, **head},
            lr=self.inner_lr,
            steps=steps,
            second_order=not self.first_order,
        )
        return {**adapted, **fixed}


def _outputs(network: nn.Module, adapted: Params, inputs: Tensor) -> Tensor:
    features = apply(network, own(network, adapted), inputs)
    return F.linear(features, adapted[WEIGHT], adapted[BIAS])


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer ProtoMAML."""
    register("protomaml", ProtoMAML)
