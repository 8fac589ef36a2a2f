"""Nearest class mean on learned features: a complete third-party plugin.

Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017, with
batch statistics for simplicity. Everything used here is metapipe's public API.
"""

import torch.nn.functional as F
from pydantic import PositiveFloat

from metapipe import Algorithm, Meta, Step, hookimpl
from metapipe.numerics import apply, task_loss


class Nearest(Algorithm):
    """Classify by the nearest mean of support features (eq. 1 and 2)."""

    paper = "Snell et al., NIPS 2017, https://arxiv.org/abs/1703.05175"

    temperature: PositiveFloat = 1.0
    """Divides the squared distances."""

    statistics: str = "batch"
    """Normalisation layers use the batch at hand."""

    def check(self, trained, asked):
        """Any number of ways will do."""

    def build(self, model, problem):
        """The model without its head."""
        return model.build(problem.shape, None, self.statistics)

    def init(self, network):
        """The network's own parameters."""
        return Meta.of(network)

    def adapt(self, network, meta, support, ways):
        """The mean of each class (eq. 1)."""
        return {"means": self._means(network, meta.params, support, ways)}

    def unadapted(self, network, meta):
        """Without a support set there are no means."""

    def predict(self, network, meta, adapted, inputs):
        """Negative squared distances (eq. 2)."""
        return self._logits(network, meta.params, adapted["means"], inputs)

    def meta_gradient(self, network, meta, episodes, over):
        """Of the cross-entropy of the queries."""

        ways = episodes.tasks[0].ways

        def loss(params, support, query):
            means = self._means(network, params, support, ways)
            logits = self._logits(network, params, means, query.inputs)
            return task_loss(logits, query.targets)

        grads, metrics = over.gradient(loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def _means(self, network, params, support, ways):
        features = apply(network, params, support.inputs)
        weights = F.one_hot(support.targets, ways).to(features)
        return weights.T @ features / weights.sum(0)[:, None]

    def _logits(self, network, params, means, inputs):
        features = apply(network, params, inputs)
        distances = ((features[:, None] - means) ** 2).sum(-1)
        return -distances / self.temperature


@hookimpl
def register_algorithms(register):
    """Offer it."""
    register("nearest", Nearest)
