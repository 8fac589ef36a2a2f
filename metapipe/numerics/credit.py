"""Credit: how good an action was, and the surrogates whose gradient says how to make
good ones likelier.

Functions of trajectories: the last two axes are n trajectories and H steps, and any may
come before. A trajectory's value ends with it: nothing is expected beyond the last real
step. Ends of inner episodes are no ends in this sense, what is learned in one is of use
in the next.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..episode import Trajectories
from .policy import log_prob

Credit = Literal["reinforce", "ratio", "dice"]
"""How a surrogate depends on the policy: see `surrogate`."""

FAR = 10.0
"""Observations beyond it are cut in the linear baseline."""

RIDGE = 1e-5
"""The linear baseline's penalty."""


def discounted(values: Tensor, discount: float) -> Tensor:
    """At each step (..., H) its value and the later ones, `discount` to the power of
    how much later: a product with a triangle of powers."""
    steps = torch.arange(values.shape[-1], device=values.device)
    later = steps[:, None] - steps
    powers = torch.tensor(discount, dtype=values.dtype, device=values.device) ** later
    return values @ torch.where(later >= 0, powers, 0.0)


def rewards_to_go(drawn: Trajectories, discount: float) -> Tensor:
    """Discounted sum of the rewards from each step on: (..., n, H)."""
    return discounted(drawn.rewards * drawn.real, discount)


def advantages(
    drawn: Trajectories, values: Tensor, discount: float, decay: float
) -> Tensor:
    """Generalised advantage of each step, (..., n, H), with lambda `decay`, against the
    expected returns `values` (Schulman et al., ICLR 2016, eq. 16); 0 after the end.

    With `decay` 1 it is the discounted return minus the value.
    """
    values = values * drawn.real
    following = torch.cat([values[..., 1:], torch.zeros_like(values[..., :1])], -1)
    surprise = drawn.rewards * drawn.real + discount * following - values
    return discounted(surprise, discount * decay) * drawn.real


def linear_baseline(drawn: Trajectories, discount: float) -> Tensor:
    """Expected returns (..., n, H) by ridge regression on observations, their squares
    and three powers of time, fitted to these very trajectories (Duan et al., ICML 2016,
    as MAML's authors use it: for each task and round anew)."""
    real = drawn.real.to(drawn.rewards.dtype)
    features = _features(drawn, real)
    wanted = (rewards_to_go(drawn, discount) * real).flatten(-2)[..., None]
    weights = _ridge(features.flatten(-3, -2), wanted)
    values: Tensor = features @ weights[..., None, :, :]
    return values.squeeze(-1)


def _ridge(rows: Tensor, goals: Tensor) -> Tensor:
    """Weights (..., f, 1) of ridge regression on rows (..., m, f), goals (..., m, 1).

    The penalty is a diagonal beside the rows, and there are no normal equations: these
    would be beyond single precision. Of m and f the fewer are decomposed, so that of
    pictures memory grows with their numbers, and not with the square.
    """
    count, width = rows.shape[-2:]
    few = min(count, width)
    eye = RIDGE**0.5 * torch.eye(few, dtype=rows.dtype, device=rows.device)
    penalty = eye.expand(*rows.shape[:-2], *eye.shape)
    if width > count:
        q, r = torch.linalg.qr(torch.cat([rows.mT, penalty], -2))
        least: Tensor = q @ torch.linalg.solve_triangular(r.mT, goals, upper=False)
        return least[..., :width, :]
    zeros = goals.new_zeros(*goals.shape[:-2], few, 1)
    q, r = torch.linalg.qr(torch.cat([rows, penalty], -2))
    target = q.mT @ torch.cat([goals, zeros], -2)
    weights: Tensor = torch.linalg.solve_triangular(r, target, upper=True)
    return weights


def _features(drawn: Trajectories, real: Tensor) -> Tensor:
    """(..., n, H, 2 d + 4) of observations with d numbers; 0 after the end."""
    seen = drawn.inputs.flatten(drawn.rewards.dim()).clamp(-FAR, FAR)
    steps = torch.arange(real.shape[-1], dtype=real.dtype, device=real.device) / 100
    time = torch.stack([steps, steps**2, steps**3, torch.ones_like(steps)], -1)
    time = time.expand(*real.shape, 4)
    return torch.cat([seen, seen**2, time], -1) * real[..., None]


def standardised(values: Tensor, real: Tensor) -> Tensor:
    """With mean 0 and standard deviation 1 over the real steps of all trajectories; 0
    after the end."""
    mean = mean_of(values, real)[..., None, None]
    variance = mean_of((values - mean).square(), real)[..., None, None]
    return (values - mean) / (variance.sqrt() + 1e-8) * real


def worth(drawn: Trajectories, discount: float = 0.99, decay: float = 1.0) -> Tensor:
    """What each action was worth, (..., n, H): its advantage against the linear
    baseline, standardised."""
    values = linear_baseline(drawn, discount)
    return standardised(advantages(drawn, values, discount, decay), drawn.real)


def mean_of(values: Tensor, real: Tensor) -> Tensor:
    """Mean over the real steps of all trajectories: (..., n, H) -> (...)."""
    return (values * real).sum((-2, -1)) / real.sum((-2, -1))


def surrogate(
    outputs: Tensor, drawn: Trajectories, worths: Tensor, credit: Credit = "ratio"
) -> Tensor:
    """What ascends where the expected return does, of a policy with these `outputs`
    (..., n, H, o) for the observations, from what its actions were worth: (...).

    The gradient is the same for all where the policy is that which drew them:

    - "reinforce": log-probability times worth, as in MAML's reference. Derivatives of
      its gradient leave out that another policy would have drawn other trajectories;
    - "ratio": the probability over that of the policy which drew them, as in TRPO and
      PPO; in an inner loop it is ProMP's low-variance curvature (Rothfuss et al., ICLR
      2019, eq. 10);
    - "dice": all derivatives, of a policy that acts on what earlier actions led to: the
      probability of all that was done so far, over the same (Farquhar, Whiteson &
      Foerster, NeurIPS 2019, eq. 10, with lambda 1; at other policies than that which
      drew, importance sampling takes the place of its magic box).
    """
    likely = log_prob(outputs, drawn.targets) * drawn.real
    if credit == "reinforce":
        weight = likely
    else:
        change = likely - log_prob(drawn.outputs, drawn.targets) * drawn.real
        if credit == "ratio":
            weight = change.exp()
        else:
            so_far = change.cumsum(-1)
            weight = so_far.exp() - (so_far - change).exp()
    return mean_of(weight * worths, drawn.real)


def clipped_surrogate(
    outputs: Tensor, drawn: Trajectories, worths: Tensor, clip: float
) -> Tensor:
    """The ratio's surrogate, of which nothing is gained where the ratio leaves 1 by
    more than `clip` to the good (Schulman et al. 2017, PPO, eq. 7): (...)."""
    change = log_prob(outputs, drawn.targets) - log_prob(drawn.outputs, drawn.targets)
    ratio = (change * drawn.real).exp()
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return mean_of(torch.minimum(ratio * worths, bounded * worths), drawn.real)
