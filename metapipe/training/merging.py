"""Parts of a meta-batch put together: one step from several, in order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..algorithm import Step
from ..episode import Params
from ..errors import PluginError


def merged(steps: Sequence[Step], counts: Sequence[int]) -> Step:
    """The step of a meta-batch from those of its parts, which have `counts` tasks.

    Gradients and floating `state` are means weighted by tasks, added in order, so that
    the bits do not depend on who computed which; metrics are those of one part after
    the other. Raises PluginError if integers of the state differ between parts: what
    only one part has counted nobody can put together.
    """
    if len(steps) == 1:
        return steps[0]
    shares = [count / sum(counts) for count in counts]
    names = [name for name in steps[0].metrics if all(name in s.metrics for s in steps)]
    return Step(
        _mean([step.gradients for step in steps], shares),
        {name: torch.cat([step.metrics[name] for step in steps]) for name in names},
        _mean([step.state for step in steps], shares),
    )


def _mean(parts: Sequence[Params], shares: Sequence[float]) -> Params:
    return {
        name: _mean_of(name, [part[name] for part in parts], shares)
        for name in parts[0]
    }


def _mean_of(name: str, values: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    if not values[0].is_floating_point():
        if not all(torch.equal(value, values[0]) for value in values[1:]):
            raise PluginError(f"parts of a meta-batch disagree on the integer '{name}'")
        return values[0]
    total = values[0] * shares[0]
    for value, share in zip(values[1:], shares[1:], strict=True):
        total = total + value * share
    return total
