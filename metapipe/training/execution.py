"""How a meta-gradient is executed: told to the device operation by operation, played
from a recording, or compiled.

Of small networks a GPU spends its time waiting to be told of the next operation. What
was recorded as a CUDA graph is told of at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..algorithm import Meta, Step, TaskMap
from ..episode import Episodes
from ..errors import MetapipeError, UnsupportedError
from ..numerics.recomputation import recomputing
from ..printable import one_line
from .capture import Captured, GraphRecorder
from .device import require_execution
from .learner import Learner

MetaGradient = Callable[[Meta, Episodes], Step]
"""Of meta-parameters and episodes; nothing that it returns is touched again."""

REMEDIES = {
    "double backward": "it differentiates twice, which torch does not compile",
    "captur": "something in it cannot be recorded",
}
"""What is the matter, by what torch says."""

_compiled: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


def meta_step(
    learner: Learner, meta: Meta, episodes: Episodes, mapping: TaskMap
) -> Step:
    """One meta-gradient, operation by operation, without changing anything."""
    detached = Meta({k: p.detach() for k, p in meta.params.items()}, meta.state)
    with learner.computing(), recomputing(learner.recompute):
        return learner.algorithm.meta_gradient(
            learner.network, detached, episodes, mapping
        )


def executing(learner: Learner) -> MetaGradient:
    """Meta-gradients by the learner's task map and execution: what is recorded or
    compiled for it is as long as this is.

    Raises UnsupportedError, in a line, where they cannot be executed so.
    """
    require_execution(learner.execution, learner.device)
    if learner.execution == "compile":
        learner = replace(learner, network=compiled(learner.network))

    def plain(meta: Meta, episodes: Episodes) -> Step:
        return meta_step(learner, meta, episodes, learner.mapping)

    if learner.execution == "eager":
        return plain
    if learner.execution == "graph":
        return _explained(learner, Captured(plain, GraphRecorder(learner.device)))
    return _explained(learner, plain)


def compiled(network: nn.Module) -> nn.Module:
    """A copy whose `forward` torch compiles, in one piece if it can, when it is called
    first; the same copy each time. Random numbers are those of the network itself.

    The method of its class, since worker threads copy a network with its attributes.
    """
    if network not in _compiled:
        other, kind = copy.deepcopy(network), type(network)

        def forward(self: nn.Module, *inputs: Tensor) -> Any:
            return kind.forward(self, *inputs)

        # Code of its own: torch compiles the same a few times, and then no more.
        forward.__code__ = forward.__code__.replace()
        whole = torch.compile(forward, options={"fallback_random": True})
        other.__class__ = type(kind.__name__, (kind,), {"forward": whole})
        _compiled[network] = other
    return _compiled[network]


def _explained(learner: Learner, gradient: MetaGradient) -> MetaGradient:
    """Whatever torch raises is a line."""

    def explained(meta: Meta, episodes: Episodes) -> Step:
        try:
            return gradient(meta, episodes)
        except UnsupportedError as error:
            raise refused(learner, str(error)) from error
        except MetapipeError:
            raise
        except Exception as error:
            text = one_line(error)
            said = next((r for name, r in REMEDIES.items() if name in text), "")
            raise refused(
                learner, f"{said or text[:200]} ({type(error).__name__})"
            ) from error

    return explained


def refused(learner: Learner, why: str) -> UnsupportedError:
    """The error for an execution that will not do."""
    return UnsupportedError(
        f"training.execution = '{learner.execution}': "
        f"{type(learner.algorithm).__name__} cannot be executed so: {why}; use eager"
    )
