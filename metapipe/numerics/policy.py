"""What a policy's outputs say: how it acts."""

from __future__ import annotations

from torch import Tensor

from ..problem import Problem


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
