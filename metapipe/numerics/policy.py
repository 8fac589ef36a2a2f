"""Policies: what a network's outputs say of actions.

Integer actions are drawn from a categorical distribution, whose logits the outputs are:
(..., actions). Floats (..., a) are drawn from a Gaussian with independent components,
and the outputs are its means and the logarithms of its standard deviations: (..., 2 a).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..model import Model
from ..problem import Problem, Statistics

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class GaussianPolicy(nn.Module):
    """A network's means with standard deviations that do not depend on the input, one a
    component, learned as logarithms: 1 at the start."""

    def __init__(self, mean: nn.Module, actions: int) -> None:
        super().__init__()
        self.mean = mean
        self.log_std = nn.Parameter(torch.zeros(actions))

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> (n, 2 a): means, then logarithms of standard deviations."""
        mean = self.mean(inputs)
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)


def policy(model: Model, problem: Problem, statistics: Statistics) -> nn.Module:
    """The model with its head as a policy, if the problem is one of control; of
    continuous actions the head gives the means."""
    network = model.build(problem.shape, problem.outputs, statistics)
    if problem.actions == "continuous":
        return GaussianPolicy(network, problem.outputs)
    return network


def log_prob(outputs: Tensor, actions: Tensor) -> Tensor:
    """Logarithm of the probability, or of its density, of each action: (...)."""
    if not actions.is_floating_point():
        chosen = outputs.log_softmax(-1).gather(-1, actions[..., None])
        return chosen.squeeze(-1)
    mean, log_std = outputs.chunk(2, -1)
    distance = (actions - mean) * (-log_std).exp()
    return -(0.5 * distance.square() + log_std + HALF_LOG_TWO_PI).sum(-1)


def entropy(outputs: Tensor, actions: Tensor) -> Tensor:
    """Of the distribution of each action, in nats: (...)."""
    if not actions.is_floating_point():
        logs = outputs.log_softmax(-1)
        return -(logs.exp() * logs).sum(-1)
    _, log_std = outputs.chunk(2, -1)
    return (log_std + HALF_LOG_TWO_PI + 0.5).sum(-1)


def divergence(old: Tensor, new: Tensor, actions: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the distribution of `new` outputs from that of
    `old` ones, KL(old || new), in nats: (...)."""
    if not actions.is_floating_point():
        before, after = old.log_softmax(-1), new.log_softmax(-1)
        return (before.exp() * (before - after)).sum(-1)
    (mean, log_std), (other, other_log_std) = old.chunk(2, -1), new.chunk(2, -1)
    ratio = (2 * (log_std - other_log_std)).exp()
    distance = (mean - other) * (-other_log_std).exp()
    return 0.5 * (ratio + distance.square() - 1 - ratio.log()).sum(-1)


def fisher(outputs: Tensor, direction: Tensor, actions: Tensor) -> Tensor:
    """Fisher's information of the distribution of each action in terms of the outputs,
    times a direction: what the divergence's Hessian in `new` is where both are the
    same. (..., outputs) both, and the result."""
    if not actions.is_floating_point():
        share = outputs.softmax(-1)
        return share * (direction - (share * direction).sum(-1, keepdim=True))
    _, log_std = outputs.chunk(2, -1)
    mean, other = direction.chunk(2, -1)
    return torch.cat([mean * (-2 * log_std).exp(), 2 * other], -1)


def chosen(problem: Problem, outputs: Tensor, noise: Tensor) -> Tensor:
    """The actions of a policy with these outputs (n, o), by so much noise.

    Discrete: int64 (n,), by uniform noise in [0, 1), (n,), against the cumulated
    probabilities. Continuous: (n, d), means and standard deviations times normal noise
    (n, d). Outputs after the policy's own are passed over.
    """
    outputs = outputs[..., : problem.policy_outputs]
    if problem.actions == "continuous":
        mean, log_std = outputs.chunk(2, -1)
        return mean + log_std.exp() * noise
    cumulated = outputs.softmax(-1).cumsum(-1)
    return (noise[..., None] >= cumulated[..., :-1]).sum(-1)
