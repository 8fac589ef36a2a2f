"""Matching networks: a vote of the support examples, by their cosine to the query.

Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, "Matching Networks for One Shot
Learning", NIPS 2016; equation numbers are those of the paper. Without its full context
embeddings.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import PositiveFloat
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
    Statistics,
    Step,
    hookimpl,
)
from metapipe.functional import apply, head_step, meta_of
from metapipe.mapping import TaskMap

TINY = 1e-6
"""Added to probabilities before their logarithm."""


class MatchingNet(Algorithm):
    """Classify by attention over the support examples."""

    paper: ClassVar[str] = (
        "Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, NIPS 2016, "
        "https://arxiv.org/abs/1606.04080"
    )
    equations: ClassVar[str] = "eq. 1 and the attention of section 2.1.1, without FCE"
    recommended: ClassVar[dict[str, object]] = {
        "model.pooling": "max",
        "model.features": "flatten",
        "model.scale": True,
    }

    sharpness: PositiveFloat = 10.0
    """Multiplies the cosines; the paper's 1 is too flat to train well."""

    statistics: Statistics = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def check(self, trained: Problem, asked: Problem) -> None:
        """Any number of classes will do, whatever it was trained with."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head."""
        return model.build(problem.shape, None, self.statistics)

    def init(self, network: nn.Module) -> Meta:
        """The network's own parameters and running statistics."""
        return meta_of(network)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Features of the support set (n, d), and its labels, one-hot (n, ways)."""
        features = apply(network, meta.params, support.inputs, state=meta.state)
        votes = F.one_hot(support.targets, ways).to(features.dtype)
        return {"features": features, "votes": votes}

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """Without a support set nobody votes."""
        return None

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logarithms of the votes' shares (eq. 1): (m, ways)."""
        features = apply(network, meta.params, inputs, state=meta.state)
        return self._logits(adapted["features"], adapted["votes"], features)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' negative log-probability (eq. 6)."""
        ways = episodes.tasks[0].ways

        def head(_: Params, support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
            votes = F.one_hot(labels, ways).to(support.dtype)
            return self._logits(support, votes, query)

        return head_step(network, meta, episodes, head)

    def _logits(self, support: Tensor, votes: Tensor, query: Tensor) -> Tensor:
        """(..., n, d), (..., n, ways) and (..., m, d) -> (..., m, ways)."""
        cosines = F.normalize(query, dim=-1) @ F.normalize(support, dim=-1).mT
        attention = (self.sharpness * cosines).softmax(-1)
        return (attention @ votes + TINY).log()


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer matching networks."""
    register("matchingnet", MatchingNet)
