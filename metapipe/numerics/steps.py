"""The meta-gradient of methods that are trained as they are used."""

from __future__ import annotations

from torch import Tensor, nn

from ..algorithm import Algorithm, Meta, Step, TaskMap
from ..episode import Episodes, Metrics, Params, Samples
from .losses import task_loss


def query_step(
    algorithm: Algorithm,
    network: nn.Module,
    meta: Meta,
    episodes: Episodes,
    over: TaskMap,
) -> Step:
    """The gradient of the queries' mean loss after adapting to the support set, by the
    algorithm's own `adapt` and `predict`, through which it differentiates."""
    ways = episodes.tasks[0].ways

    def loss(
        params: Params, support: Samples, query: Samples
    ) -> tuple[Tensor, Metrics]:
        mine = Meta(params, meta.state)
        adapted = algorithm.adapt(network, mine, support, ways)
        outputs = algorithm.predict(network, mine, adapted, query.inputs)
        return task_loss(outputs, query.targets)

    gradients, metrics = over.gradient(loss, meta.params, episodes)
    return Step(gradients, metrics, meta.state)
