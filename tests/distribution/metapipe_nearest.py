"""Nearest class mean on learned features: a complete third-party plugin.

Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017.
"""

from typing import Literal

import torch.nn.functional as F
from pydantic import PositiveFloat

from metapipe import Algorithm, hookimpl
from metapipe.numerics import apply, query_step

contract = 1


class Nearest(Algorithm):
    """Classify by the nearest mean of support features (eq. 1 and 2)."""

    paper = "Snell et al., NIPS 2017, https://arxiv.org/abs/1703.05175"
    any_ways = True

    temperature: PositiveFloat = 1.0
    """Divides the squared distances."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand."""

    def adapt(self, network, meta, support, ways):
        features = apply(network, meta.params, support.inputs)
        weights = F.one_hot(support.targets, ways).to(features)
        return {"means": weights.T @ features / weights.sum(0)[:, None]}

    def predict(self, network, meta, adapted, inputs):
        features = apply(network, meta.params, inputs)
        distances = (features[:, None] - adapted["means"]).square().sum(-1)
        return -distances / self.temperature

    def meta_gradient(self, network, meta, episodes, over):
        return query_step(self, network, meta, episodes, over)


@hookimpl
def register_algorithms(register):
    register("nearest-class", Nearest)
