"""The numerical core against closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from metapipe import Meta
from metapipe.numerics.functional import (
    apply,
    descend,
    gradient,
    normalisation_names,
    partition,
    within,
)
from metapipe.numerics.losses import accuracy, batch_loss, task_loss


def linear() -> nn.Module:
    return nn.Linear(2, 1, bias=False, dtype=torch.float64)


def test_apply_uses_the_given_parameters_and_leaves_the_network_alone() -> None:
    network = linear()
    before = network.weight.detach().clone()
    given = {"weight": torch.tensor([[2.0, 3.0]], dtype=torch.float64)}
    inputs = torch.tensor([[1.0, 10.0]], dtype=torch.float64)
    assert apply(network, given, inputs).item() == 32.0
    assert torch.equal(network.weight, before)


def test_apply_updates_only_the_state_it_is_handed() -> None:
    network = nn.BatchNorm1d(1, momentum=1.0)
    meta = Meta.of(network)
    state = {name: value.clone() for name, value in meta.state.items()}
    inputs = torch.tensor([[1.0], [3.0]])
    out = apply(network, meta.params, inputs, state=state, training=True)
    assert out.flatten().tolist() == pytest.approx([-1.0, 1.0], abs=1e-4)
    assert state["running_mean"].item() == 2.0
    assert meta.state["running_mean"].item() == 0.0
    assert network.running_mean is not None
    assert network.running_mean.item() == 0.0
    out = apply(network, meta.params, inputs, state=state)
    assert out.flatten().tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5], abs=1e-4)


def test_gradient_of_a_square_and_of_its_gradient() -> None:
    x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)

    def cube(params):
        value = params["x"] ** 3
        return value, {"loss": value.detach()}

    grads, metrics = gradient(cube, {"x": x}, second_order=True)
    assert grads["x"].item() == 27.0
    assert metrics["loss"].item() == 27.0
    (second,) = torch.autograd.grad(grads["x"], x)
    assert second.item() == 18.0
    grads, _ = gradient(cube, {"x": x})
    assert not grads["x"].requires_grad
    detached, _ = gradient(cube, {"x": x.detach()}, second_order=True)
    assert not detached["x"].requires_grad, "nobody upstream wants a graph"


def test_gradient_works_under_no_grad() -> None:
    with torch.no_grad():
        grads, _ = gradient(
            lambda p: ((p["x"] ** 2).sum(), {}), {"x": torch.tensor([1.0, -2.0])}
        )
    assert grads["x"].tolist() == [2.0, -4.0]


def test_descend_takes_a_number_or_a_rate_per_name() -> None:
    params = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([5.0])}
    grads = {"a": torch.tensor([10.0, 10.0])}
    assert descend(params, grads, 0.1)["a"].tolist() == [0.0, 1.0]
    assert descend(params, grads, 0.1)["b"] is params["b"]
    rates = {"a": torch.tensor([0.1, 0.2])}
    assert descend(params, grads, rates)["a"].tolist() == [0.0, 0.0]


def test_normalisation_parameters_are_found_by_their_layer() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.LayerNorm(2))
    names = normalisation_names(network)
    assert names == {"1.weight", "1.bias", "2.weight", "2.bias"}
    inside, outside = partition(dict(network.named_parameters()), names)
    assert set(inside) == names
    assert set(outside) == {"0.weight", "0.bias"}


def test_constants_of_a_network_are_no_meta_parameters() -> None:
    network = nn.BatchNorm1d(2)
    network.weight.requires_grad_(False)
    assert set(Meta.of(network).params) == {"bias"}


def test_task_loss_tells_labels_from_numbers_by_their_type() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    labels = torch.tensor([0, 1, 0])
    loss, metrics = task_loss(logits, labels)
    expected = nn.CrossEntropyLoss()(logits, labels)
    assert loss.item() == pytest.approx(expected.item())
    assert metrics["accuracy"].item() == pytest.approx(2 / 3)
    assert accuracy(logits, labels).item() == pytest.approx(2 / 3)
    loss, metrics = task_loss(
        torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])
    )
    assert loss.item() == 5.0
    assert set(metrics) == {"loss"}


def test_a_submodule_sees_its_own_parameters_only() -> None:
    one = torch.ones(1)
    params = {"body.weight": one, "body.head.bias": one, "bodyguard.weight": one}
    assert set(within(params, "body")) == {"weight", "head.bias"}


def test_smoothed_labels_share_the_rest_among_the_other_classes() -> None:
    logits = torch.tensor([[[1.0, 2.0, 4.0]]], dtype=torch.float64)
    loss, metrics = batch_loss(logits, torch.tensor([[2]]), smoothing=0.1)
    logs = logits.log_softmax(-1).flatten()
    want = -(0.9 * logs[2] + 0.05 * (logs[0] + logs[1]))
    assert loss.item() == pytest.approx(want.item(), abs=1e-12)
    assert metrics["loss"].item() == pytest.approx(-logs[2].item(), abs=1e-12)


@pytest.mark.parametrize("second_order", [False, True])
def test_a_parameter_made_from_another_is_held_still(second_order) -> None:
    """Of a b^2 with b = 3 a at a = 2: by a it is 36 and by b 24, and not 36 + 72."""
    a = torch.tensor(2.0, requires_grad=True)
    params = {"a": a, "b": 3 * a}
    grads, _ = gradient(
        lambda p: (p["a"] * p["b"] ** 2, {}), params, second_order=second_order
    )
    assert (grads["a"].item(), grads["b"].item()) == (36.0, 24.0)
    if second_order:  # they are 9 a^2 and 6 a^2
        (again,) = torch.autograd.grad(grads["a"] + grads["b"], a)
        assert again.item() == 18 * 2 + 12 * 2


class Tied(nn.Module):
    """Writes by the weights that it reads by."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.write = nn.Linear(3, 3), nn.Linear(3, 3)
        self.write.weight = self.read.weight

    def forward(self, inputs):
        return self.write(self.read(inputs))


def test_a_tensor_that_goes_by_two_names_is_replaced_by_both() -> None:
    network, inputs = Tied(), torch.randn(4, 3)
    params = {name: torch.randn_like(p) for name, p in network.named_parameters()}
    weight = params["read.weight"]
    inner = F.linear(inputs, weight, params["read.bias"])
    want = F.linear(inner, weight, params["write.bias"])
    for _ in range(2):
        torch.testing.assert_close(apply(network, params, inputs), want)
    assert len(params) == 3
