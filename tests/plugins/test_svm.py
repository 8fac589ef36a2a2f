"""The support vector machine against scikit-learn, closed forms and differences."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import Tensor
from torch.nn.functional import one_hot

from metapipe_plugins.parts.heads.svm import crammer_singer

DOUBLE = torch.float64


def weights(features: Tensor, labels: Tensor, c: float, **settings) -> Tensor:
    """(..., d, N)."""
    onehot = one_hot(labels).to(features)
    settings = {"iterations": 20, "ridge": 0.0} | settings
    kernel = features @ features.mT
    return features.mT @ crammer_singer(kernel, onehot, c, **settings)


def reference(features: np.ndarray, labels: np.ndarray, c: float) -> np.ndarray:
    """(d, N) by scikit-learn."""
    svm = LinearSVC(
        multi_class="crammer_singer",
        C=c,
        fit_intercept=False,
        tol=1e-12,
        max_iter=10**7,
    )
    return svm.fit(features, labels).coef_.T


def problem(shots: int = 3, ways: int = 5, size: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(ways).repeat(shots)
    centres = torch.randn(ways, size, generator=generator, dtype=DOUBLE)
    noise = torch.randn(shots * ways, size, generator=generator, dtype=DOUBLE)
    return 0.5 * centres[labels] + 0.5 * noise, labels


@pytest.mark.parametrize("c", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(3, 5, 20), (1, 4, 30), (5, 3, 64)])
def test_it_is_scikit_learns(c, shape) -> None:
    features, labels = problem(*shape)
    got = weights(features, labels, c)
    want = reference(features.numpy(), labels.numpy(), c)
    assert np.abs(got.numpy() - want).max() < 1e-9


def test_the_ridge_is_a_coordinate_of_its_own_for_every_example() -> None:
    features, labels = problem()
    extended = np.hstack([features.numpy(), np.eye(len(features))])
    want = reference(extended, labels.numpy(), 0.1)[: features.shape[1]]
    got = weights(features, labels, 0.1, ridge=1.0)
    assert np.abs(got.numpy() - want).max() < 1e-9


def test_three_classes_by_hand() -> None:
    features = torch.tensor([[1.0, 0], [0, 1], [-1, -1]], dtype=DOUBLE)
    got = weights(features, torch.arange(3), 10.0)
    want = torch.tensor([[2, -1], [-1, 2], [-1, -1]], dtype=DOUBLE).T / 3
    assert torch.allclose(got, want, atol=1e-9)


@pytest.mark.parametrize(
    ("c", "ridge", "alpha", "slope"),
    [(0.1, 0.0, 0.1, 0.0), (10.0, 0.0, 0.5, -1.0), (10.0, 1.0, 0.25, -0.25)],
)
def test_two_classes_by_hand(c, ridge, alpha, slope) -> None:
    """x1 = (s, 0), x2 = (0, s): alpha = min(C, 1 / (2 (s^2 + ridge))), at s = 1."""
    s = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    kernel = s**2 * torch.eye(2, dtype=DOUBLE)
    got = crammer_singer(
        kernel, torch.eye(2, dtype=DOUBLE), c, ridge=ridge, iterations=20
    )
    want = alpha * torch.tensor([[1.0, -1], [-1, 1]], dtype=DOUBLE)
    assert torch.allclose(got, want, atol=1e-8)
    (grad,) = torch.autograd.grad(got[0, 0], s)
    assert grad.item() == pytest.approx(slope, abs=1e-6)


def test_the_conditions_of_the_optimum_hold_after_15_iterations() -> None:
    features, labels = problem(5, 5, 64)
    onehot = one_hot(labels).to(DOUBLE)
    kernel = features @ features.mT
    alpha = crammer_singer(kernel, onehot, 0.1, ridge=0.0, iterations=15)
    assert alpha.sum(-1).abs().max() < 1e-9
    assert (alpha - 0.1 * onehot).max() < 1e-9
    # Stationary: for each example, y - K alpha = bound + balance, where the bound's
    # multiplier is positive and zero off the bound.
    slope = onehot - kernel @ alpha
    free = 0.1 * onehot - alpha > 1e-6
    assert free.any(-1).all()
    balance = slope.masked_fill(~free, torch.inf).min(-1, keepdim=True).values
    assert (slope - balance)[free].abs().max() < 1e-8
    assert (slope - balance)[~free].min() > -1e-8


def test_two_iterations_are_not_the_optimum() -> None:
    """So that the test above can fail."""
    features, labels = problem(5, 5, 64)
    kernel, onehot = features @ features.mT, one_hot(labels).to(DOUBLE)
    early, late = (crammer_singer(kernel, onehot, 0.1, iterations=n) for n in (2, 15))
    assert (early - late).abs().max() > 1e-3


def test_the_gradient_is_that_of_differences() -> None:
    features, labels = problem(2, 3, 8)
    seeded = torch.Generator().manual_seed(0)
    direction = torch.randn(8, 3, dtype=DOUBLE, generator=seeded)

    def value(x: Tensor) -> Tensor:
        return (weights(x, labels, 0.3, ridge=1.0, iterations=30) * direction).sum()

    leaf = features.clone().requires_grad_()
    (grad,) = torch.autograd.grad(value(leaf), leaf)
    h = 1e-5
    for index in [(0, 0), (1, 3), (4, 7), (5, 2)]:
        step = torch.zeros_like(features)
        step[index] = h
        difference = (value(features + step) - value(features - step)) / (2 * h)
        assert grad[index].item() == pytest.approx(
            difference.item(), rel=1e-5, abs=1e-7
        )


def test_tasks_together_are_tasks_alone() -> None:
    features = torch.stack([problem(2, 3, 8)[0], -problem(2, 3, 8)[0]])
    labels = torch.arange(3).repeat(2)
    together = weights(features, labels.expand(2, -1), 0.1)
    for one, alone in zip(together, features, strict=True):
        assert torch.allclose(one, weights(alone, labels, 0.1), atol=1e-10)


def test_no_task_depends_on_how_long_the_others_take() -> None:
    """The first is at its optimum before the second."""
    features = torch.stack([problem(2, 3, 8)[0] / 1000, 10 * problem(2, 3, 8)[0]])
    labels = torch.arange(3).repeat(2)
    together = weights(features, labels.expand(2, -1), 0.1)
    alone = weights(features[0], labels, 0.1)
    assert torch.allclose(together[0], alone, rtol=1e-13, atol=0)


def test_other_names_of_the_classes_change_nothing_else() -> None:
    features, labels = problem()
    order = torch.tensor([3, 1, 4, 0, 2])
    plain = weights(features, labels, 0.1)
    assert torch.allclose(weights(features, order[labels], 0.1)[:, order], plain)


def test_single_precision_in_double_inside() -> None:
    features, labels = problem(5, 5, 64)
    got = weights(100 * features.float(), labels, 0.1)
    want = weights(100 * features, labels, 0.1)
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), want, atol=1e-5)
