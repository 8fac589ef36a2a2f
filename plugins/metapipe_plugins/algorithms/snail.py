"""SNAIL: a sequence model that reads the support set and labels the query.

Mishra, Rohaninejad, Chen & Abbeel, "A Simple Neural Attentive Meta-Learner", ICLR 2018.
The stack of blocks is that of the paper's appendix, as two public codes have it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
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
from metapipe.data import fixed_order
from metapipe.numerics import (
    apply,
    head_step,
    own,
    within,
)
from metapipe_plugins.parts.heads.features import feature_length, vector_features
from metapipe_plugins.parts.networks.temporal import Snail

SHOTS = 5
"""What the stack is made for where nobody says: the most in the paper."""


class SNAIL(Algorithm):
    """Read labelled examples as a sequence; say the label of the last, unlabelled."""

    paper: ClassVar[str] = (
        "Mishra, Rohaninejad, Chen & Abbeel, ICLR 2018, "
        "https://arxiv.org/abs/1707.03141"
    )
    equations: ClassVar[str] = (
        "section 3 (DenseBlock, TCBlock, AttentionBlock); the appendix's stack"
    )
    departures: ClassVar[str] = (
        "the stack spans the shots of training, where the paper's is of one K; a "
        "gate's two halves of the kernel begin as two linear layers, 1.4 times as "
        "wide as one convolution; shots are fixed unless random_shots is on"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = {
        "model.pooling": "max",
        "model.features": "flatten",
        "model.ceil": True,
        "model.scale": True,
    }

    embedding: PositiveInt = 64
    """Length of the vector that an input becomes: a linear layer on the model's
    features."""

    filters: PositiveInt = 128
    """Filters of each temporal convolution."""

    max_shots: PositiveInt | None = None
    """Shots whose whole sequence the temporal convolutions span, those of training if
    not given; attention sees longer sequences too."""

    random_shots: bool = False
    """Train each meta-batch with a random number of shots, from 1 to --shots, as the
    paper does: one learner for all of them."""

    literal_dilation: bool = False
    """Dilations 2, 4, 8 ... as the paper's pseudo-code has them, instead of 1, 2, 4:
    then only even lags are reached."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, a linear layer, and the stack."""
        features = vector_features(model, problem, self.statistics)
        return Network(features, self, problem)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The support sequence: embeddings with their labels, (n, embedding + ways)."""
        vectors = apply(network, meta.params, support.inputs, state=meta.state)
        order = torch.from_numpy(fixed_order(len(vectors))).to(vectors.device)
        return {"sequence": _labelled(vectors, support.targets, ways)[order]}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits at the position after the support sequence: (m, ways)."""
        vectors = apply(network, meta.params, inputs, state=meta.state)
        sequence = adapted["sequence"]
        ways = sequence.shape[-1] - vectors.shape[-1]
        stack, params = network.stack, within(meta.params, "stack")
        assert isinstance(stack, nn.Module)
        return apply(stack, params, sequence, unlabelled(vectors, ways))

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the cross-entropy at the last position, for embedding and stack."""
        ways = episodes.tasks[0].ways
        stack = network.stack
        assert isinstance(stack, nn.Module)

        def head(
            params: Params, support: Tensor, labels: Tensor, query: Tensor
        ) -> Tensor:
            sequence = _labelled(support, labels, ways)
            mine = own(stack, within(params, "stack"))
            return apply(stack, mine, sequence, unlabelled(query, ways))

        return head_step(network, meta, self.shuffled(episodes), head)

    def shuffled(self, episodes: Episodes) -> Episodes:
        """With support sets in random order, and perhaps fewer shots."""
        labels = episodes.support.targets
        tasks, count = labels.shape
        ways, shots = episodes.tasks[0].ways, episodes.tasks[0].shots
        rows = torch.arange(tasks, device=labels.device)[:, None]
        order = torch.rand(tasks, count).argsort(-1).to(labels.device)
        if self.random_shots:
            if count != ways * shots:
                raise UnsupportedError(
                    "random_shots leaves classes equal numbers, which task.support "
                    "does not give: use one of them"
                )
            kept = int(torch.randint(1, shots + 1, ()))
            by_class = labels[rows, order].argsort(dim=-1, stable=True)
            chosen = by_class.reshape(tasks, ways, shots)[..., :kept].flatten(-2)
            again = torch.rand(tasks, ways * kept).argsort(-1).to(labels.device)
            order = order[rows, chosen[rows, again]]
        support = Samples(*(tensor[rows, order] for tensor in episodes.support))
        return episodes._replace(support=support)


class Network(nn.Module):
    """Embeds inputs; `stack` reads sequences of them."""

    def __init__(self, features: nn.Module, settings: SNAIL, problem: Problem) -> None:
        super().__init__()
        self.features = features
        length = feature_length(features, problem.shape)
        self.project = nn.Linear(length, settings.embedding)
        ways = problem.outputs
        shots = settings.max_shots or problem.shots or SHOTS
        self.stack = Snail(
            settings.embedding + ways,
            ways,
            ways * shots + 1,
            settings.filters,
            settings.literal_dilation,
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> (n, embedding)."""
        return self.project(self.features(inputs))  # type: ignore[no-any-return]


def _labelled(vectors: Tensor, labels: Tensor, ways: int) -> Tensor:
    """(..., n, d) and (..., n) -> (..., n, d + ways)."""
    return torch.cat([vectors, F.one_hot(labels, ways).to(vectors.dtype)], -1)


def unlabelled(vectors: Tensor, ways: int) -> Tensor:
    """(..., m, d) -> (..., m, d + ways): the label is not there, all zeros."""
    return F.pad(vectors, (0, ways))


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer SNAIL."""
    register("snail", SNAIL)
