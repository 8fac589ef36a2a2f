"""Calls that are made twice and computed once."""

import pytest
import torch
from torch import nn

from metapipe.numerics import BatchNorm, apply, support_statistics
from metapipe.numerics.remembered import remembering


class Counted(nn.Linear):
    """Counts its calls."""

    calls = 0

    def forward(self, inputs):
        self.calls += 1
        return super().forward(inputs)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Counted(3, 2)


def params(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def test_the_same_call_is_computed_once(network):
    own, inputs = params(network), torch.randn(5, 3)
    with remembering():
        first = apply(network, own, inputs)
        again = apply(network, {**own, "of.the.method": inputs}, inputs[:])
    assert network.calls == 1
    assert torch.equal(first, again)
    apply(network, own, inputs)
    assert network.calls == 2, "outside nothing is remembered"


def test_another_call_is_another(network):
    """Other parameters, other inputs in the same place or in another, a part of them,
    the same numbers laid out otherwise: each is computed, and right."""
    own, inputs = params(network), torch.randn(4, 3)
    weight, bias = own["weight"], own["bias"]
    with remembering():
        for values in (inputs, inputs[:2], inputs[1:], inputs.clone(), inputs[[0, 0]]):
            found = apply(network, own, values)
            assert torch.allclose(found, values @ weight.T + bias)
        inputs += 1
        assert torch.allclose(apply(network, own, inputs), inputs @ weight.T + bias)
        bias += 1
        assert torch.allclose(apply(network, own, inputs), inputs @ weight.T + bias)
        other = {"weight": weight * 2, "bias": bias}
        found = apply(network, other, inputs)
        assert torch.allclose(found, 2 * inputs @ weight.T + bias)
    assert network.calls == 8


def test_what_is_differentiated_or_trained_is_computed_each_time(network):
    own = {name: p.requires_grad_() for name, p in params(network).items()}
    inputs = torch.randn(4, 3)
    with remembering():
        for _ in range(2):
            apply(network, own, inputs).sum().backward()
        assert own["bias"].grad.tolist() == [8.0, 8.0]
        detached = {name: p.detach() for name, p in own.items()}
        for _ in range(2):
            apply(network, detached, inputs, training=True)
    assert network.calls == 4


def test_statistics_of_a_support_set_are_part_of_a_call():
    """They are put where a network has nothing: what is normalised by others is
    another call, and to note them again there has to be a call again."""
    norm = BatchNorm(3, "support")
    own = params(norm)
    inputs, queries = torch.randn(5, 3, 2), torch.randn(4, 3, 2)
    one, other = [
        {"mean": torch.full((3,), mean), "var": torch.ones(3)} for mean in (0.0, 5.0)
    ]
    with remembering():
        ours = apply(norm, own, queries, state=one)
        theirs = apply(norm, own, queries, state=other)
        first, again = [support_statistics(norm, own, inputs) for _ in range(2)]
    assert torch.allclose(ours - theirs, torch.full_like(ours, 5.0), atol=1e-3)
    assert torch.allclose(first["mean"], inputs.mean((0, 2)), atol=1e-6)
    assert again.keys() == first.keys() == {"mean", "var"}
