"""A learner: an algorithm with the network it was built on, for one problem, on one
device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..algorithm import Algorithm, Meta
from ..dataset import Source
from ..episode import Params
from ..errors import MetapipeError, PluginError, UnsupportedError
from ..model import Model
from ..numerics.attention import has_attention, plain_attention
from ..numerics.kernels import settled_kernels
from ..numerics.memory import keep_freed_memory
from ..numerics.precision import Precision, computing_in
from ..numerics.task_map import LocalTaskMap
from ..printable import one_line
from ..problem import Kind, Problem
from ..training_settings import Execution
from .device import memory_told
from .tensor_file import shapes


@dataclass(frozen=True)
class Learner:
    """An algorithm, ready to run."""

    algorithm: Algorithm
    network: nn.Module
    problem: Problem
    device: str
    mapping: LocalTaskMap
    precision: Precision = "float32"
    """In which networks compute."""

    recompute: bool = False
    """Whether inner steps are computed again where their graph is wanted."""

    execution: Execution = "eager"
    """How a training's meta-gradients are told to the device."""

    def executed_by(self, execution: Execution) -> Learner:
        """The same, executed so."""
        return replace(self, execution=execution)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute in its precision inside; on a GPU by kernels that give the same bits
        each time.

        Raises OutOfMemoryError where the GPU has too little memory.
        """
        tf32 = self.precision == "tf32"
        settled = settled_kernels(self.device, tf32)
        with memory_told(self.device), computing_in(self.precision), settled:
            yield

    @property
    def normalises_batches(self) -> bool:
        """Whether predictions depend on what else is in the batch."""
        layers = (m for m in self.network.modules() if isinstance(m, _BatchNorm))
        uses_batch = any(layer.running_mean is None for layer in layers)
        return uses_batch and self.algorithm.statistics == "batch"

    def transductive(self, prediction: str) -> bool:
        """Whether queries predicted "together", or "alone", see each other."""
        return self.normalises_batches and prediction == "together"


def problem_of(source: Source, ways: int, shots: int = 0) -> Problem:
    """The problem that episodes of `source` with that many ways, and at most so many
    support examples a class, pose."""
    facts = source.facts
    outputs = facts.outputs if facts.outputs is not None else ways
    return Problem(
        facts.kind, facts.shape, outputs, len(facts.classes), shots, facts.actions
    )


def check_problem(algorithm: Algorithm, name: str, problem: Problem) -> None:
    """Raise UnsupportedError if the algorithm cannot be trained for the problem."""
    check_kind(algorithm, name, problem.kind)
    algorithm.check(problem, problem)


def check_kind(
    algorithm: Algorithm,
    name: str,
    kind: Kind,
    instead: Callable[[Kind], Sequence[str]] | None = None,
) -> None:
    """Raise UnsupportedError if the algorithm cannot be trained for such problems, and
    name those that can: `instead` of a kind, which may take a while to know."""
    if not algorithm.needs_training:
        raise UnsupportedError(
            f"{name} has nothing to train: it learns a task from its examples alone, "
            "by 'metapipe adapt --backbone NAME --head " + name + "'"
        )
    if kind not in algorithm.kinds:
        kinds = " and ".join(sorted(algorithm.kinds))
        others = f", one of {', '.join(instead(kind))}" if instead else ""
        raise UnsupportedError(
            f"{name} is defined for {kinds}, and this data set poses {kind}: choose "
            f"another algorithm with --plugin{others}; or another data set"
        )


def build_learner(
    algorithm: Algorithm, model: Model, problem: Problem, device: str, seed: int
) -> tuple[Learner, Meta]:
    """A new learner and its initial meta-parameters, which `seed` decides where
    `Model.initialise` does not.

    Parameters are made on the CPU, so that they are the same whatever the device.
    Raises PluginError for a network with tensors that no file would hold.
    """
    keep_freed_memory()
    with _seeded(seed):
        network = _network(algorithm, model, problem)
        if has_attention(network):
            plain_attention()
        network = network.to(device)
        meta = algorithm.init(network)
    require_no_plain_tensors(network)
    learner = Learner(algorithm, network, problem, device, LocalTaskMap("loop"))
    return learner, meta


def _network(algorithm: Algorithm, model: Model, problem: Problem) -> nn.Module:
    """Built and initialised. Raises PluginError for whatever fails there."""
    try:
        network = algorithm.build(model, problem)
        model.initialise(network)
    except (MetapipeError, OSError):
        raise
    except Exception as error:  # anybody's code
        text = one_line(error)
        raise PluginError(
            f"{type(model).__name__} cannot be built by {type(algorithm).__name__} for "
            f"inputs of shape {problem.shape}: {type(error).__name__}: {text}"
        ) from error
    if not isinstance(network, nn.Module):
        raise PluginError(
            f"{type(model).__name__}.build returns a {type(network).__name__}: return "
            "a torch.nn.Module"
        )
    return network


def random_meta(
    algorithm: Algorithm, model: Model, problem: Problem, seed: int
) -> Meta:
    """Initial meta-parameters as `seed` alone decides them, on the CPU."""
    with _seeded(seed):
        return algorithm.init(algorithm.build(model, problem))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def drops(network: nn.Module) -> bool:
    """Whether parts of it act at random in training mode: dropout, or a module that
    has an attribute `stochastic` and says so."""
    return any(map(_drops, network.modules()))


def _drops(module: nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return module.dropout > 0
    return bool(getattr(module, "stochastic", False))


def fits(found: Meta, fresh: Meta) -> bool:
    """Whether stored meta-parameters have the names and shapes of fresh ones."""
    kept = shapes(found.params), shapes(found.state)
    return kept == (shapes(fresh.params), shapes(fresh.state))


def held_by(network: nn.Module) -> Params:
    """Its parameters and buffers by name, each once."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def constants_of(network: nn.Module, meta: Meta) -> Params:
    """What the network holds and `meta` does not, detached: frozen parameters, and
    buffers that the method leaves to it. A file that has the one needs the other."""
    known = {*meta.params, *meta.state}
    held = held_by(network)
    return {name: t.detach() for name, t in held.items() if name not in known}


def require_no_plain_tensors(network: nn.Module) -> None:
    """Raise PluginError for a tensor that is neither parameter nor buffer, nor computed
    from them: no file would hold it."""
    held = {id(tensor) for tensor in held_by(network).values()}
    for place, module in network.named_modules():
        for name, value in vars(module).items():
            for tensor in _tensors(value):
                if id(tensor) not in held and tensor.grad_fn is None:
                    raise PluginError(
                        f"{type(module).__name__} has a tensor that no file holds, "
                        f"{'.'.join(filter(None, (place, name)))}: make it a buffer, "
                        "or a parameter that requires no gradient"
                    )


def _tensors(value: object) -> Iterator[Tensor]:
    """In an attribute of a module, or in lists and dictionaries there."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_tensors, value))
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_tensors, value.values()))
