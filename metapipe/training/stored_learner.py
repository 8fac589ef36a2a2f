"""A learner out of a file: its structure is built without values, and the file's are
put there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..algorithm import Algorithm, Meta
from ..episode import Params
from ..errors import CheckpointError, MetapipeError
from ..model import Model
from ..numerics.attention import has_attention, plain_attention
from ..numerics.memory import keep_freed_memory
from ..numerics.task_map import LocalTaskMap
from ..problem import Problem
from .learner import Learner, constants_of, held_by, require_no_plain_tensors
from .tensor_file import TensorFile

GROUPS = ("params", "state", "constants")
"""Of a file; together they have all that a learner holds."""

SLACK = 2**26
"""Bytes that building may take beside parameters and buffers."""

FEW = 256
"""Tensors that it may make beside them."""


def open_learner(
    algorithm: Algorithm, model: Model, problem: Problem, device: str, file: TensorFile
) -> tuple[Learner, Meta]:
    """The learner of a file and its meta-parameters, with nothing initialised and no
    random number drawn.

    The size that the file claims for it, then names and shapes are compared before it
    takes memory. Raises CheckpointError if they do not fit, and PluginError for a
    network with tensors that no file holds.
    """
    keep_freed_memory()
    network, wanted = _structure(algorithm, model, problem, file)
    _require_fit(file, network, wanted)
    if has_attention(network):
        plain_attention()
    params, state, constants = (file.group(name, device) for name in GROUPS)
    _fill(network, {**params, **state, **constants})
    learner = Learner(algorithm, network, problem, device, LocalTaskMap("loop"))
    # In the network's order, not the file's: sums over all, such as the norm of the
    # meta-gradient, are rounded alike then.
    return learner, Meta(
        {name: params[name] for name in wanted.params},
        {name: state[name] for name in wanted.state},
    )


FILLS = ("normal_", "uniform_", "kaiming_uniform_", "constant_", "fill_", "zero_")
MAKES = ("empty", "zeros", "ones", "full", "rand", "randn")


class _Shapes(TorchFunctionMode):
    """On `meta`, passes over what fills tensors, and refuses a network that is larger
    than its file, before anybody tries it.

    There are no values to fill in, and torch would do it in Python, by way of its
    compiler: to import that takes longer than all the rest of opening a file.
    """

    def __init__(self, file: TensorFile) -> None:
        super().__init__()
        self._path = file.path
        self._left = 2 * sum(t.nbytes for t in file.tensors.values()) + SLACK
        self._few = 4 * len(file.tensors) + FEW

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in FILLS:
            filled = next(chain(args, kwargs.values()))
            if filled.is_meta:
                return filled
        found = func(*args, **kwargs)
        if name in MAKES and found.is_meta:
            self._left -= found.nbytes
            self._few -= 1
            if min(self._left, self._few) < 0:
                raise CheckpointError(
                    f"{self._path} does not fit its network, which is larger"
                )
        return found


def _structure(
    algorithm: Algorithm, model: Model, problem: Problem, file: TensorFile
) -> tuple[nn.Module, Meta]:
    """The network and its first meta-parameters, on torch's `meta` device."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), _Shapes(file):
            network = algorithm.build(model, problem)
            wanted = algorithm.init(network)
    except MetapipeError:
        raise
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{file.path} cannot be opened: its network cannot be built without "
            f"values, under torch.device('meta'): {type(error).__name__}: {reason}"
        ) from error
    require_no_plain_tensors(network)
    return network, wanted


def _require_fit(file: TensorFile, network: nn.Module, wanted: Meta) -> None:
    """Raise CheckpointError unless the file has what the structure wants, no more."""
    groups = (wanted.params, wanted.state, constants_of(network, wanted))
    places = {
        f"{group}/{name}": tensor
        for group, tensors in zip(GROUPS, groups, strict=True)
        for name, tensor in tensors.items()
    }
    found = {n: t for n, t in file.tensors.items() if n.partition("/")[0] in GROUPS}
    for name in sorted({*places, *found}):
        if reason := _misfit(name, found.get(name), places.get(name)):
            old = ""
            if file.header["format"] == 1:
                old = " (format 1, written before frozen parameters were kept in files)"
            raise CheckpointError(
                f"{file.path} does not fit its network: {reason}{old}"
            )


def _misfit(name: str, found: Tensor | None, place: Tensor | None) -> str:
    """What is wrong with a tensor for its place; empty if nothing is."""
    if found is None:
        return f"it lacks {name}"
    if place is None:
        return f"its {name} has no place there"
    if found.shape != place.shape:
        return f"its {name} is {tuple(found.shape)}, there it is {tuple(place.shape)}"
    if found.is_floating_point() != place.is_floating_point():
        return f"its {name} is {found.dtype}, there it is {place.dtype}"
    return ""


def _fill(network: nn.Module, values: Params) -> None:
    """Put `values` in place of all parameters and buffers; what is one tensor by two
    names stays so."""
    held = held_by(network)
    filled: dict[int, Tensor] = {}
    for name, tensor in held.items():
        value = values[name]
        if isinstance(tensor, nn.Parameter):
            value = nn.Parameter(value, tensor.requires_grad)
        filled[id(tensor)] = value
    for module in network.modules():
        own = {
            **dict(module.named_parameters(recurse=False, remove_duplicate=False)),
            **dict(module.named_buffers(recurse=False, remove_duplicate=False)),
        }
        for name, tensor in own.items():
            setattr(module, name, filled[id(tensor)])
