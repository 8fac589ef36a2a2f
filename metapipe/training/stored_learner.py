"""A learner out of a file: its structure is built without values, and the file's are
put there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..algorithm import Algorithm, Meta
from ..episode import Params
from ..errors import CheckpointError, MetapipeError
from ..model import Model
from ..numerics.memory import keep_freed_memory
from ..numerics.task_map import LocalTaskMap
from ..problem import Problem
from .learner import Learner, constants_of, held_by, require_no_plain_tensors
from .tensor_file import TensorFile

GROUPS = ("params", "state", "constants")
"""Of a file; together they have all that a learner holds."""


def open_learner(
    algorithm: Algorithm, model: Model, problem: Problem, device: str, file: TensorFile
) -> tuple[Learner, Meta]:
    """The learner of a file and its meta-parameters, with nothing initialised and no
    random number drawn.

    Names and shapes are compared before memory is taken for a network of the size that
    the file claims. Raises CheckpointError if they do not fit, and PluginError for a
    network with tensors that no file holds.
    """
    keep_freed_memory()
    network, wanted = _structure(algorithm, model, problem, file)
    _require_fit(file, network, wanted)
    params, state, constants = (file.group(name, device) for name in GROUPS)
    _fill(network, {**params, **state, **constants})
    learner = Learner(algorithm, network, problem, device, LocalTaskMap("loop"))
    return learner, Meta(params, state)


def _structure(
    algorithm: Algorithm, model: Model, problem: Problem, file: TensorFile
) -> tuple[nn.Module, Meta]:
    """The network and its first meta-parameters, on torch's `meta` device."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
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
