"""torch's optimisers, without what keeps them from torch's compiler.

torch marks some of their methods as not to be compiled, and the marks import the
compiler when the first optimiser is made: a second, of a training that compiles
nothing. Here are the same methods without the marks. Nothing of torch is changed: its
own optimisers, and `torch.compile`, are for everybody else as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import unwrap
from typing import Any

import torch
from torch.optim import Optimizer

from ..algorithm import Group
from ..episode import Params
from ..numerics.functional import partition
from ..training_settings import TrainingSettings


class Unmarked(Optimizer):
    """What the optimisers have in common. A method that some torch does not mark is
    its own unwrapped form, so this costs time there and never a result."""

    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)


class Adam(Unmarked, torch.optim.Adam):
    """`torch.optim.Adam`."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(Unmarked, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class SGD(Unmarked, torch.optim.SGD):
    """`torch.optim.SGD`."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


def optimiser(
    params: Params, settings: TrainingSettings, groups: Sequence[Group] = ()
) -> Optimizer:
    """The outer optimiser of `settings`. Each group has the parameters that its prefix
    begins, and the first group of all has the rest."""
    options = []
    for group in groups:
        found, params = partition(params, (n for n in params if n.startswith(group[0])))
        if found:
            options.append(_options(found, settings, group.rate, group.decays))
    options.insert(0, _options(params, settings, 1.0, decays=True))
    if settings.optimiser == "sgd":
        momentum = settings.momentum
        return SGD(options, lr=settings.lr, momentum=momentum, nesterov=momentum > 0)
    kind = Adam if settings.optimiser == "adam" else AdamW
    return kind(options, lr=settings.lr)


def _options(
    params: Params, settings: TrainingSettings, rate: float, decays: bool
) -> dict[str, Any]:
    return {
        "params": list(params.values()),
        "weight_decay": settings.weight_decay if decays else 0.0,
        "rate": rate,
    }
