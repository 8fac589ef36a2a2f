"""Returns, advantages and surrogates against closed forms and other libraries."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from metapipe import Trajectories
from metapipe.numerics import (
    advantages,
    clipped_surrogate,
    linear_baseline,
    rewards_to_go,
    standardised,
    surrogate,
)


def walked(rewards: Tensor, real: Tensor | None = None, seed: int = 0) -> Trajectories:
    """Trajectories (..., n, H) with these rewards; two numbers are seen each time."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(
        *rewards.shape, 5, generator=generator, dtype=rewards.dtype
    ).split([2, 1, 2], -1)
    return Trajectories(
        inputs=noise[0],
        targets=noise[1],
        rewards=rewards,
        real=torch.ones_like(rewards, dtype=torch.bool) if real is None else real,
        ends=torch.zeros_like(rewards, dtype=torch.bool),
        outputs=noise[2],
        success=torch.full(rewards.shape[:-1], torch.nan),
    )


def doubles(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_generalised_advantages_by_hand() -> None:
    drawn, values = walked(doubles(1, 2, 3)), doubles(0.5, 1, 1.5)
    found = advantages(drawn, values, 0.9, 0.5)
    assert found[0].tolist() == pytest.approx([2.76125, 3.025, 1.5], abs=1e-12)
    found = advantages(drawn, values, 0.9, 1.0)
    wanted = rewards_to_go(drawn, 0.9) - values
    assert found[0].tolist() == pytest.approx(wanted[0].tolist(), abs=1e-12)
    assert rewards_to_go(drawn, 0.9)[0].tolist() == pytest.approx(
        [5.23, 4.7, 3], abs=1e-12
    )
    assert rewards_to_go(drawn, 0.0)[0].tolist() == [1, 2, 3]


def padded(drawn: Trajectories) -> Trajectories:
    """With three more steps after the end, of which nothing may be taken."""

    def longer(tensor: Tensor) -> Tensor:
        junk = torch.full_like(tensor[:, :3], 7)
        return torch.cat([tensor, junk], 1)

    longest = Trajectories(*map(longer, drawn[:-1]), drawn.success)
    return longest._replace(
        real=torch.cat([drawn.real, torch.zeros_like(drawn.real[:, :3])], 1)
    )


@pytest.mark.parametrize("credit", ["reinforce", "ratio", "dice"])
def test_padding_changes_nothing(credit) -> None:
    rewards = torch.arange(20, dtype=torch.float64).reshape(4, 5).sin()
    drawn = walked(rewards)
    found = []
    for each in (drawn, padded(drawn)):
        outputs = (each.outputs + 0.1).requires_grad_()
        values = linear_baseline(each, 0.9)
        worth = standardised(advantages(each, values, 0.9, 0.8), each.real)
        value = surrogate(outputs, each, worth, credit)
        (slope,) = torch.autograd.grad(value, outputs)
        assert not slope[:, 5:].any()
        found.append(torch.cat([worth[:, :5].flatten(), slope[:, :5].flatten()]))
        found.append(value[None])
    for mine, other in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def ridge(drawn: Trajectories, discount: float) -> np.ndarray:
    """The baseline of one task's trajectories, by NumPy's least squares."""
    count, steps = drawn.rewards.shape
    seen = drawn.inputs.reshape(count * steps, -1).double().numpy().clip(-10, 10)
    time = np.tile(np.arange(steps) / 100, count)[:, None]
    rows = np.concatenate(
        [seen, seen**2, time, time**2, time**3, np.ones_like(time)], 1
    )
    goal = rewards_to_go(drawn, discount).double().flatten().numpy()
    width = rows.shape[1]
    rows = np.concatenate([rows, np.sqrt(1e-5) * np.eye(width)])
    weights = np.linalg.lstsq(rows, np.concatenate([goal, np.zeros(width)]))[0]
    return rows[: len(goal)] @ weights


def test_the_linear_baseline_is_a_ridge_regression() -> None:
    rewards = torch.linspace(-1, 1, 60).reshape(3, 4, 5).sin()
    drawn = walked(rewards)
    drawn = drawn._replace(inputs=drawn.inputs * 8)  # some are cut
    found = linear_baseline(drawn, 0.9)
    for task in range(3):
        one = Trajectories(*(tensor[task] for tensor in drawn))
        wanted = ridge(one, 0.9).tolist()
        assert found[task].flatten().tolist() == pytest.approx(wanted, abs=1e-4)


def test_the_baseline_of_pictures_is_the_same_regression() -> None:
    """Where more numbers are seen than there are steps; and of large pictures with no
    more memory than some of them take."""
    rewards = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4).sin()
    drawn = walked(rewards)
    generator = torch.Generator().manual_seed(1)
    seen = torch.randn(3, 4, 2, 3, 3, generator=generator, dtype=torch.float64)
    drawn = drawn._replace(inputs=seen)
    found = linear_baseline(drawn, 0.9).flatten().tolist()
    assert found == pytest.approx(ridge(drawn, 0.9).tolist(), abs=1e-9)
    large = drawn._replace(inputs=seen.repeat(1, 1, 1, 100, 100).float())
    large = large._replace(rewards=rewards.float())
    assert torch.isfinite(linear_baseline(large, 0.9)).all()  # else half a terabyte


def bandit(theta: float, goal: float, count: int = 41) -> tuple[Trajectories, Tensor]:
    """Pulls of a Gaussian bandit with reward -(a - g)^2 and the policy N(theta, 1), at
    the points of Gauss-Hermite quadrature, and their weights: means are integrals."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    actions = torch.from_numpy(theta + points)[:, None, None]
    share = torch.from_numpy(weights / weights.sum() * count)[:, None]
    rewards = -((actions[..., 0] - goal) ** 2)
    drawn = walked(rewards)._replace(
        targets=actions, outputs=normal(torch.tensor(theta, dtype=torch.float64), count)
    )
    return drawn, share


def normal(theta: Tensor, count: int) -> Tensor:
    """Outputs (n, 1, 2) that say N(theta, 1)."""
    mean = theta.expand(count, 1, 1)
    return torch.cat([mean, torch.zeros_like(mean)], -1)


@pytest.mark.parametrize(
    ("credit", "baseline", "second"),
    [
        ("reinforce", "none", 2.0),
        ("reinforce", "mean", 0.0),
        ("ratio", "none", -2.0),
        ("ratio", "mean", -2.0),
        ("dice", "none", -2.0),
        ("dice", "mean", -2.0),
    ],
)
def test_derivatives_of_a_gaussian_bandit(credit, baseline, second) -> None:
    """J(theta) = -(theta - g)^2 - 1: J' = -2 and J'' = -2 where theta - g = 1."""
    drawn, share = bandit(0.3, -0.7)
    worth = drawn.rewards
    if baseline == "mean":
        worth = worth - (worth * share).mean()
    theta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    value = surrogate(normal(theta, len(share)), drawn, worth * share, credit)
    (first,) = torch.autograd.grad(value, theta, create_graph=True)
    (again,) = torch.autograd.grad(first, theta)
    assert first.item() == pytest.approx(-2, abs=1e-9)
    assert again.item() == pytest.approx(second, abs=1e-9)


def test_dice_knows_that_what_was_done_leads_on() -> None:
    """Two steps, each an action of {0, 1} with probability p = sigmoid(theta) of 1, and
    reward 1 at the end where both are 1: J = p^2. The ratio of each step alone, with
    the reward after it, has the right gradient and another second derivative."""
    theta = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    logits = torch.stack([torch.zeros_like(theta), theta])
    actions = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    chance = logits.detach().softmax(-1)[actions].prod(-1, keepdim=True)
    rewards = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1.0]]).double()
    drawn = walked(rewards)._replace(
        targets=actions, outputs=logits.detach().expand(4, 2, 2)
    )
    p = torch.sigmoid(theta)
    (first,) = torch.autograd.grad(p**2, theta, create_graph=True)
    wanted = [first.item(), torch.autograd.grad(first, theta)[0].item()]
    found = {}
    for credit in ("ratio", "dice"):
        # A mean over 4 x 2 steps of what is summed over steps.
        worth = rewards_to_go(drawn, 1.0) * chance * 8
        value = surrogate(logits.expand(4, 2, 2), drawn, worth, credit)
        (first,) = torch.autograd.grad(value, theta, create_graph=True)
        found[credit] = [first.item(), torch.autograd.grad(first, theta)[0].item()]
    assert found["dice"] == pytest.approx(wanted, abs=1e-12)
    assert found["ratio"][0] == pytest.approx(wanted[0], abs=1e-12)
    assert abs(found["ratio"][1] - wanted[1]) > 0.05


def test_standardised_over_what_is_real() -> None:
    real = torch.tensor([[True, True, False], [True, False, False]])
    values = torch.tensor([[1.0, 2.0, 99.0], [6.0, 99.0, 99.0]])
    found = standardised(values, real)
    kept = np.array([1, 2, 6.0])
    wanted = (kept - kept.mean()) / kept.std()
    assert found[real].tolist() == pytest.approx(wanted.tolist(), abs=1e-6)
    assert not found[~real].any()
    assert math.isfinite(standardised(torch.ones(1, 2), real[:1, :2]).sum())


@pytest.mark.parametrize(
    ("credit", "factor"),
    [("ratio", 1 - 2 * 0.1), ("dice", 1 - 2 * 0.1), ("reinforce", 1 + 2 * 0.1)],
)
def test_one_step_of_maml_in_closed_form(credit, factor) -> None:
    """theta' = theta - 2 alpha (theta - g), so d/dtheta J(theta') is
    -2 (1 - 2 alpha)^2 (theta - g); reinforce has +2 for the inner J'' = -2 here, and
    is off by (1 + 2 alpha) / (1 - 2 alpha)."""
    alpha, start, goal = 0.1, 0.3, -0.7
    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    support, share = bandit(start, goal)
    inner = surrogate(normal(theta, 41), support, support.rewards * share, credit)
    (slope,) = torch.autograd.grad(inner, theta, create_graph=True)
    adapted = theta + alpha * slope
    assert adapted.item() == pytest.approx(start - 2 * alpha * (start - goal), abs=1e-9)
    query, share = bandit(adapted.item(), goal)
    outer = surrogate(normal(adapted, 41), query, query.rewards * share, credit)
    (found,) = torch.autograd.grad(outer, theta)
    wanted = -2 * (1 - 2 * alpha) * factor * (start - goal)
    assert found.item() == pytest.approx(wanted, abs=1e-8)


def test_the_clipped_surrogate_by_hand() -> None:
    """Choices of 2 with probability 1/2 by the old policy: ratios 1.5 and 0.5."""
    ratios = torch.tensor([1.5, 0.5, 1.5, 0.5]).double()
    worths = torch.tensor([[2.0], [2.0], [-2.0], [-2.0]]).double()
    outputs = torch.stack([ratios / 2, 1 - ratios / 2], -1).log()[:, None]
    drawn = walked(torch.zeros(4, 1, dtype=torch.float64))._replace(
        targets=torch.zeros(4, 1, dtype=torch.int64),
        outputs=torch.zeros(4, 1, 2, dtype=torch.float64),
    )
    gains = [2 * 1.2, 2 * 0.5, -2 * 1.5, -2 * 0.8]
    found = clipped_surrogate(outputs, drawn, worths, 0.2)
    assert found.item() == pytest.approx(sum(gains) / 4, abs=1e-12)
