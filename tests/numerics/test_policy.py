"""What outputs say of actions, against torch.distributions."""

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from metapipe import Problem
from metapipe.numerics import divergence, entropy, fisher, log_prob, policy
from metapipe_plugins.models.mlp import MLP


def normal(outputs):
    mean, log_std = outputs.chunk(2, -1)
    return Independent(Normal(mean, log_std.exp()), 1)


def categorical(outputs):
    return Categorical(logits=outputs)


@pytest.mark.parametrize("kind", [categorical, normal])
def test_policies_are_torchs_distributions(kind) -> None:
    torch.manual_seed(0)
    old, new = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    actions = kind(old).sample()
    close = torch.testing.assert_close
    close(log_prob(new, actions), kind(new).log_prob(actions))
    close(entropy(new, actions).expand(3, 4), kind(new).entropy())
    close(divergence(old, new, actions), kl_divergence(kind(old), kind(new)))
    assert divergence(old, old, actions).abs().max() < 1e-15


@pytest.mark.parametrize("kind", [categorical, normal])
def test_fishers_information_is_the_divergences_curvature(kind) -> None:
    torch.manual_seed(0)
    outputs, direction = torch.randn(2, 6, dtype=torch.float64)
    actions = kind(outputs).sample()
    curvature = torch.autograd.functional.hessian(
        lambda new: divergence(outputs, new, actions), outputs
    )
    found = fisher(outputs, direction, actions)
    torch.testing.assert_close(found, curvature @ direction)


def test_a_policy_of_continuous_actions_begins_with_deviation_one() -> None:
    problem = Problem("control", (2,), 3, actions="continuous")
    network = policy(MLP(), problem, "batch")
    outputs = network(torch.randn(5, 2))
    assert outputs.shape == (5, 6)
    assert not outputs[:, 3:].any()
    assert "log_std" in dict(network.named_parameters())
    discrete = policy(MLP(), Problem("control", (2,), 3, actions="discrete"), "batch")
    assert isinstance(discrete, nn.Sequential)
    assert discrete(torch.randn(5, 2)).shape == (5, 3)
