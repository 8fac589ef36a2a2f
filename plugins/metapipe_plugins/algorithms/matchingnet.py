"""Matching networks: a vote of the support examples, by their cosine to the query.

Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, "Matching Networks for One Shot
Learning", NIPS 2016; equation numbers are those of the paper.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat
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
    hookimpl,
)
from metapipe.data import fixed_order
from metapipe.numerics import apply, head_step, within
from metapipe_plugins.parts.heads.features import (
    FLAT_FEATURES,
    feature_length,
    vector_features,
)
from metapipe_plugins.parts.networks.full_context import QueryContext, SupportContext

TINY = 1e-6
"""Added to probabilities before their logarithm."""


class MatchingNet(Algorithm):
    """Classify by attention over the support examples."""

    paper: ClassVar[str] = (
        "Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, NIPS 2016, "
        "https://arxiv.org/abs/1606.04080"
    )
    equations: ClassVar[str] = (
        "eq. 1 and the attention of section 2.1.1; with `context`, the full context "
        "embeddings of section 2.1.2 and appendix A"
    )
    departures: ClassVar[str] = (
        "cosines are multiplied by a sharpness, which the paper has not; features "
        "alone unless context is given"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True

    sharpness: PositiveFloat = 10.0
    """Multiplies the cosines; the paper's 1 is too flat to train well."""

    context: NonNegativeInt = 0
    """Times that a query reads the support set for its full context embedding (FCE),
    whose examples then know each other too; 0 for features by themselves."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, and what makes context of its features."""
        features = vector_features(model, problem, self.statistics)
        if not self.context:
            return features
        return WithContext(features, problem.shape, self.context)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Features of the support set (n, d), and its labels, one-hot (n, ways)."""
        features = apply(network, meta.params, support.inputs, state=meta.state)
        votes = F.one_hot(support.targets, ways).to(features.dtype)
        features, votes = self._in_context(network, meta.params, features, votes)
        return {"features": features, "votes": votes}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logarithms of the votes' shares (eq. 1): (m, ways)."""
        features = apply(network, meta.params, inputs, state=meta.state)
        known = (adapted["features"], adapted["votes"])
        return self._logits(network, meta.params, *known, features)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' negative log-probability (eq. 6)."""
        ways = episodes.tasks[0].ways

        def head(
            params: Params, support: Tensor, labels: Tensor, query: Tensor
        ) -> Tensor:
            votes = F.one_hot(labels, ways).to(support.dtype)
            support, votes = self._in_context(network, params, support, votes)
            return self._logits(network, params, support, votes, query)

        return head_step(network, meta, episodes, head)

    def _in_context(
        self, network: nn.Module, params: Params, features: Tensor, votes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(..., n, d) and (..., n, ways) -> g's features, and the votes in their order:
        a shuffled one, since it must not tell the classes."""
        if not isinstance(network, WithContext):
            return features, votes
        order = torch.from_numpy(fixed_order(features.shape[-2])).to(features.device)
        features, votes = features[..., order, :], votes[..., order, :]
        return apply(network.support, within(params, "support"), features), votes

    def _logits(
        self,
        network: nn.Module,
        params: Params,
        support: Tensor,
        votes: Tensor,
        query: Tensor,
    ) -> Tensor:
        """(..., n, d), (..., n, ways) and (..., m, d) -> (..., m, ways)."""
        if isinstance(network, WithContext):
            query = apply(network.query, within(params, "query"), query, support)
        cosines = F.normalize(query, dim=-1) @ F.normalize(support, dim=-1).mT
        attention = (self.sharpness * cosines).softmax(-1)
        return (attention @ votes + TINY).log()


class WithContext(nn.Module):
    """Features, and the context embeddings that fit them; called, it gives features."""

    def __init__(self, features: nn.Module, shape: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.features = features
        width = feature_length(features, shape)
        self.support = SupportContext(width)
        self.query = QueryContext(width, steps)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> (n, d)."""
        found: Tensor = self.features(inputs)
        return found


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer matching networks."""
    register("matchingnet", MatchingNet)
