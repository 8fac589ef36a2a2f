"""Losses of tasks, and the figures they report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..episode import Drawn, Metrics, Params, Trajectories
from .credit import surrogate, worth
from .functional import Loss, apply


def support_loss(
    network: nn.Module,
    support: Drawn,
    fixed: Params | None = None,
    *,
    scale: Literal["reference", "mean"] = "mean",
) -> Loss:
    """The loss of a support set, of one task, as a function of the parameters.

    `fixed` are parameters that are not to be adapted. In classification, the reference
    code of MAML sums over the support set and divides by the shots: with `scale`
    "reference" the loss is `ways` times the mean. Of trajectories, it is minus the
    surrogate "reinforce" (algorithm 3 of MAML).
    """

    def loss(params: Params) -> tuple[Tensor, Metrics]:
        def predict(inputs: Tensor) -> Tensor:
            return apply(network, {**params, **(fixed or {})}, inputs)

        if isinstance(support, Trajectories):
            outputs = at_each_step(predict, support)
            return -surrogate(outputs, support, worth(support), "reinforce"), {}
        outputs = predict(support.inputs)
        value, metrics = task_loss(outputs, support.targets)
        if scale == "reference" and not support.targets.is_floating_point():
            value = value * outputs.shape[-1]
        return value, metrics

    return loss


def query_loss(
    predict: Callable[[Tensor], Tensor], query: Drawn
) -> tuple[Tensor, Metrics]:
    """Mean loss of one task's queries by what `predict` says of inputs (m, *shape), and
    the metrics, detached: as `task_loss`; of trajectories minus the surrogate "ratio",
    and as `loss` minus their mean return, not discounted.
    """
    if not isinstance(query, Trajectories):
        return task_loss(predict(query.inputs), query.targets)
    value = -surrogate(at_each_step(predict, query), query, worth(query), "ratio")
    returns = (query.rewards * query.real).sum(-1).mean(-1)
    return value, {"loss": -returns, "surrogate": value.detach()}


def at_each_step(predict: Callable[[Tensor], Tensor], drawn: Trajectories) -> Tensor:
    """What is predicted at each step of trajectories, (..., n, H, o)."""
    outputs = predict(drawn.inputs.flatten(0, drawn.rewards.dim() - 1))
    return outputs.reshape(*drawn.rewards.shape, -1)


def task_loss(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Metrics]:
    """Mean loss of one task, and its metrics, detached.

    Integer targets (n,) are labels: cross-entropy of logits (n, ways), in nats, and the
    accuracy. Float targets (n, outputs) are regressed: mean squared error.
    """
    if targets.is_floating_point():
        loss = F.mse_loss(outputs, targets)
        return loss, {"loss": loss.detach()}
    loss = F.cross_entropy(outputs, targets)
    return loss, {"loss": loss.detach(), "accuracy": accuracy(outputs, targets)}


def batch_loss(
    outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0
) -> tuple[Tensor, Metrics]:
    """Mean loss of T tasks whose outputs were computed in one call, and the metrics,
    (T,) each, detached: classification of logits (T, n, ways) by labels (T, n).

    With `smoothing` the other classes share that much of the label; the figures tell
    the plain loss.
    """
    logits = outputs.movedim(-1, 1)
    losses = F.cross_entropy(logits, targets, reduction="none").mean(-1)
    metrics = {"loss": losses.detach(), "accuracy": accuracy(outputs, targets)}
    if not smoothing:
        return losses.mean(), metrics
    ways = outputs.shape[-1]
    share = smoothing * ways / (ways - 1)  # torch's own label gets a part back
    # Not torch's own mean, which a GPU adds up in any order.
    smooth = F.cross_entropy(logits, targets, reduction="none", label_smoothing=share)
    return smooth.mean(), metrics


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Fraction of the rows of `logits` (n, ways) whose largest entry is the label's."""
    return (logits.detach().argmax(-1) == labels).to(logits.dtype).mean(-1)


def before_adaptation(metrics: Metrics) -> Metrics:
    """The same figures under the names they have before adaptation."""
    return {f"{name}_before": value for name, value in metrics.items()}
