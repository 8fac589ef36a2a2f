"""ANIL: MAML whose inner loop adapts the head alone.

Raghu, Raghu, Bengio & Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding
the Effectiveness of MAML", ICLR 2020, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

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
    Problem,
    Register,
    Step,
    TaskMap,
    Trajectories,
    hookimpl,
)
from metapipe.numerics import (
    GaussianPolicy,
    apply,
    at_each_step,
    by_step,
    inner_loop,
    query_loss,
    support_loss,
    within,
)
from metapipe_plugins.parts.heads.features import (
    feature_length,
    model_head,
    vector_features,
)


class ANIL(Algorithm):
    """Learn features, and a linear head that a few gradient steps fit to a task."""

    paper: ClassVar[str] = (
        "Raghu, Raghu, Bengio & Vinyals, ICLR 2020, https://arxiv.org/abs/1909.09157"
    )
    equations: ClassVar[str] = "section 4.1: the inner loop of MAML on the head only"
    departures: ClassVar[str] = (
        "the inner loss is of the reference's scale unless inner_loss is mean, and "
        "test_steps is training's unless given"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"classification", "regression", "control"}
    )

    inner_lr: PositiveFloat = 0.1
    """Step size of the inner loop, for the loss of `inner_loss`."""

    inner_steps: PositiveInt = 5
    """Gradient steps on the support set in training; the features are computed once."""

    test_steps: NonNegativeInt | None = None
    """Gradient steps when evaluated or used; as in training if not given."""

    first_order: bool = False
    """Drop second derivatives: features then learn from the query set alone."""

    inner_loss: Literal["reference", "mean"] = "reference"
    """Scale of the support loss in classification: summed over the support set and
    divided by the shots, which is `ways` times the mean; or the mean."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, and its head."""
        body = vector_features(model, problem, self.statistics)
        length = feature_length(body, problem.shape)
        head = model_head(model, problem, self.statistics, length)
        if problem.actions == "continuous":
            head = GaussianPolicy(head, problem.outputs)
        return nn.ModuleDict({"body": body, "head": head})

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """The head after `test_steps` of gradient descent."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        return self._descend(network, meta.params, support, steps)

    def rounds(self, *, training: bool) -> int:
        """One for each step."""
        if training or self.test_steps is None:
            return self.inner_steps
        return self.test_steps

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """The head that the descent begins with."""
        return within(meta.params, "head")

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the adapted head on the features."""
        return _outputs(network, meta.params, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the mean query loss; features get it through the queries and, by second
        derivatives, through the support set that the head was fitted to."""

        def loss(
            params: Params, support: Drawn, query: Drawn
        ) -> tuple[Tensor, Metrics]:
            head = self._descend(network, params, support, self.inner_steps)
            return query_loss(
                lambda inputs: _outputs(network, params, head, inputs), query
            )

        grads, metrics = over.gradient(loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def _descend(
        self, network: nn.Module, params: Params, support: Drawn, steps: int
    ) -> Params:
        body, head = _parts(network)
        adapted = within(params, "head")
        for part in self._features(body, within(params, "body"), support, steps):
            adapted = inner_loop(
                support_loss(head, part, scale=self.inner_loss),
                adapted,
                lr=self.inner_lr,
                steps=1,
                second_order=not self.first_order,
            )
        return adapted

    def _features(
        self, body: nn.Module, params: Params, support: Drawn, steps: int
    ) -> Sequence[Drawn]:
        """What the head learns from in each step, with features for inputs."""
        if isinstance(support, Trajectories):
            return [
                part._replace(
                    inputs=at_each_step(lambda seen: apply(body, params, seen), part)
                )
                for part in by_step(support, steps)
            ]
        features = apply(body, params, support.inputs)
        return by_step(support._replace(inputs=features), steps)


def _outputs(
    network: nn.Module, params: Params, adapted: Params, inputs: Tensor
) -> Tensor:
    body, head = _parts(network)
    return apply(head, adapted, apply(body, within(params, "body"), inputs))


def _parts(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    parts = dict(network.named_children())
    return parts["body"], parts["head"]


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer ANIL."""
    register("anil", ANIL)
