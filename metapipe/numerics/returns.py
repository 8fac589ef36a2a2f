"""What trajectories brought."""

from __future__ import annotations

import torch

from ..episode import Drawn, Episodes, Metrics, Trajectories


def return_figures(episodes: Episodes) -> Metrics:
    """What became of T tasks' trajectories, (T,) each, to stand among the metrics of a
    step.

    `loss` is minus the mean return of the query, not discounted, and `accuracy` the
    share of its trajectories that succeeded, if the world says so; `loss_before` and
    `accuracy_before` are those of the first round, if there was one.
    """
    after, support = _figures(episodes.query), episodes.support
    if not support.rewards.shape[1]:
        return after
    first = Trajectories(*(tensor[:, 0] for tensor in support))
    return {**after, **{f"{k}_before": v for k, v in _figures(first).items()}}


def returns_by_step(episodes: Episodes) -> Metrics:
    """The curve `return_by_step`, (T, k + 1): mean returns of the k rounds, each of the
    policy after as many steps, and of the query."""
    rounds, query = episodes.support.rewards, episodes.query.rewards
    points = [rounds.sum(-1).mean(-1), query.sum(-1).mean(-1, keepdim=True)]
    return {"return_by_step": torch.cat(points, 1)}


def _figures(drawn: Drawn) -> Metrics:
    """Of trajectories (T, n, ...)."""
    figures = {"loss": -drawn.rewards.sum(-1).mean(-1)}
    if not torch.isnan(drawn.success).any():
        figures["accuracy"] = drawn.success.mean(-1)
    return figures
