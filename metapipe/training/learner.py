"""A learner: an algorithm with the network it was built on, for one problem, on one
device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..algorithm import Algorithm, Meta
from ..dataset import Source
from ..episode import Params
from ..errors import UnsupportedError
from ..model import Model
from ..numerics.memory import keep_freed_memory
from ..numerics.precision import Precision
from ..numerics.task_map import LocalTaskMap
from ..problem import Problem
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

    @property
    def normalises_batches(self) -> bool:
        """Whether predictions depend on what else is in the batch."""
        layers = (m for m in self.network.modules() if isinstance(m, _BatchNorm))
        uses_batch = any(layer.running_mean is None for layer in layers)
        return uses_batch and self.algorithm.statistics == "batch"

    def transductive(self, prediction: str) -> bool:
        """Whether queries predicted "together", or "alone", see each other."""
        return self.normalises_batches and prediction == "together"


def problem_of(source: Source, ways: int) -> Problem:
    """The problem that episodes of `source` with that many ways pose."""
    facts = source.facts
    outputs = facts.outputs if facts.outputs is not None else ways
    return Problem(facts.kind, facts.shape, outputs, len(facts.classes))


def check_problem(algorithm: Algorithm, name: str, problem: Problem) -> None:
    """Raise UnsupportedError if the algorithm cannot be trained for the problem."""
    if not algorithm.needs_training:
        raise UnsupportedError(
            f"{name} has nothing to train: it learns a task from its examples alone, "
            "by 'metapipe adapt --backbone NAME --head " + name + "'"
        )
    if problem.kind not in algorithm.kinds:
        kinds = " and ".join(sorted(algorithm.kinds))
        raise UnsupportedError(
            f"{name} is defined for {kinds}, and this data set poses {problem.kind}: "
            "choose another algorithm with --plugin"
        )
    algorithm.check(problem, problem)


def build_learner(
    algorithm: Algorithm, model: Model, problem: Problem, device: str, seed: int
) -> tuple[Learner, Meta]:
    """The learner and its initial meta-parameters, which `seed` decides.

    Parameters are made on the CPU, so that they are the same whatever the device.
    """
    keep_freed_memory()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = algorithm.build(model, problem).to(device)
        meta = algorithm.init(network)
    learner = Learner(algorithm, network, problem, device, LocalTaskMap("loop"))
    return learner, meta


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


def fit_constants(learner: Learner, meta: Meta, constants: Params) -> bool:
    """Give the learner's network its constants as they were kept; False, and nothing
    is changed, if it has others."""
    if shapes(constants) != shapes(constants_of(learner.network, meta)):
        return False
    install(learner.network, constants)
    return True


def constants_of(network: nn.Module, meta: Meta) -> Params:
    """What the network holds and `meta` does not, detached: frozen parameters, and
    buffers that the method leaves to it. A file that has the one needs the other."""
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    known = {*meta.params, *meta.state}
    return {name: t.detach() for name, t in held.items() if name not in known}


def install(network: nn.Module, constants: Params) -> None:
    """Give a network that was just built the constants it had when it was kept."""
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with torch.no_grad():
        for name, value in constants.items():
            held[name].copy_(value)
