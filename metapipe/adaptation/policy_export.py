"""A policy of a run that learned to act, for deployment: what is seen in, what is said
of actions out.

It is the policy that acts first in every world. One that remembers learns a world as it
goes, and has its memory handed in and out; of the others it is where adaptation begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..algorithm import Meta, Recurrent, Seen
from ..episode import Params
from ..errors import UnsupportedError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..problem import Problem
from ..runs.stored_run import stored_checkpoint, trained_learner
from ..store import TaskStore
from ..store.records import RunRow
from ..training.learner import Learner
from .program import Program, Traceable, as_onnx, as_program

EXAMPLES = 16
"""Observations on which the file is compared with ours."""

MEANING = {
    "discrete": "a logit for each action",
    "continuous": "means, then logarithms of standard deviations: actions are clipped "
    "to [-1, 1]",
}
"""What is said of actions."""


@dataclass(frozen=True)
class ExportedPolicy:
    """What a file takes and gives, by name with its shape, and how near it is to
    ours."""

    step: int
    """Meta-iterations done at its checkpoint."""

    takes: dict[str, list[int | str]]
    gives: dict[str, list[int | str]]
    parameters: str
    """What they mean."""

    difference: float


def export_policy(
    store: TaskStore,
    registry: Registry,
    row: RunRow,
    path: Path,
    *,
    onnx: bool,
    which: str = "best",
) -> ExportedPolicy:
    """Write the policy of a run as ONNX or as a torch.export program, checked against
    ours.

    Raises UnsupportedError for a run of another kind, for a memory that grows from step
    to step, and for what cannot be traced or converted; and WriteError.
    """
    _require_policy(row)
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    on_cpu = experiment.run.model_copy(update={"device": "cpu"})
    experiment = replace(experiment, run=on_cpu)
    checkpoint = stored_checkpoint(store, row, which)
    learner, meta = trained_learner(experiment, checkpoint, row)
    acting = _acting(replace(learner, precision="float32"), meta, row)
    traceable = Traceable(
        acting, acting.examples(2), list(acting.takes), list(acting.gives)
    )
    meaning = MEANING[learner.problem.actions]
    facts = {"parameters": meaning, "run": f"run {row.id}", "algorithm": row.algorithm}
    program = (as_onnx if onnx else as_program)(traceable, facts)
    difference = _difference(program, acting)
    program.write(path)
    return ExportedPolicy(
        checkpoint.step, acting.takes, acting.gives, meaning, difference
    )


def _require_policy(row: RunRow) -> None:
    if not row.controls:
        raise UnsupportedError(
            f"run {row.id} learned to learn from examples: give it some by metapipe "
            f"adapt {row.id} --support DIR --out FILE, and export that file"
        )


def _acting(learner: Learner, meta: Meta, row: RunRow) -> Policy:
    """The policy that acts first, as a module."""
    if learner.normalises_batches:
        raise UnsupportedError(
            f"the policy of run {row.id} has statistics of a batch, which who acts "
            "alone does not have: train it with -s model.normalise=false"
        )
    first = learner.algorithm.unadapted(learner.network, meta)
    assert first is not None  # it was trained
    if not isinstance(learner.algorithm, Recurrent):
        return Policy(learner, meta, first)
    acting = RememberingPolicy(learner, meta, first)
    if moves := acting.moves():
        raise UnsupportedError(
            f"{row.algorithm}: its memory {moves}, and that of a file has one size and "
            "begins at 0: export one of rl2"
        )
    return acting


def _difference(program: Program, acting: Policy) -> float:
    """Between the file and ours, on another number of examples than was traced."""
    inputs = acting.examples(EXAMPLES)
    with torch.no_grad():
        said = acting(*inputs)
    return program.apart([said] if isinstance(said, Tensor) else said, *inputs)


class Policy(nn.Module):
    """Observations (n, *shape) -> what is said of actions, (n, o)."""

    def __init__(self, learner: Learner, meta: Meta, first: Params) -> None:
        super().__init__()
        self._learner, self._meta, self._first = learner, meta, first

    @property
    def takes(self) -> dict[str, list[int | str]]:
        """Names of its inputs, with their shapes."""
        names = ("observation", "action", "reward", "ended", "begun", *self.memory)
        shapes: Sequence[Tensor] = self.examples(1)
        return {
            name: ["n", *each.shape[1:]]
            for name, each in zip(names, shapes, strict=False)
        }

    @property
    def gives(self) -> dict[str, list[int | str]]:
        """Names of its outputs, with their shapes."""
        after = {f"{k}_after": ["n", *v.shape[1:]] for k, v in self.memory.items()}
        return {"parameters": ["n", self._problem.policy_outputs], **after}

    @property
    def memory(self) -> Params:
        """Of one trajectory before its first action."""
        return {}

    @property
    def _problem(self) -> Problem:
        return self._learner.problem

    def examples(self, count: int) -> tuple[Tensor, ...]:
        """Standard normal observations."""
        generator = torch.Generator().manual_seed(0)
        return (torch.randn(count, *self._problem.shape, generator=generator),)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Each observation on its own."""
        learner = self._learner
        return learner.algorithm.predict(
            learner.network, self._meta, self._first, *inputs
        )


class RememberingPolicy(Policy):
    """Observations, the actions before with their rewards, whether an inner episode
    ended and whether there was an action at all, and a memory, which is 0 at first ->
    what is said of actions, and the memory after."""

    def moves(self) -> str:
        """Why its memory does not fit a file; empty if it does."""
        with torch.no_grad():
            after = self._act(*super().examples(1), *self._nothing(1))[1]
        if any(after[name].shape != kept.shape for name, kept in self.memory.items()):
            return "grows from step to step"
        if any(kept.any() for kept in self.memory.values()):
            return "does not begin at 0"
        return ""

    @property
    def _method(self) -> Recurrent:
        method = self._learner.algorithm
        assert isinstance(method, Recurrent)
        return method

    @property
    def memory(self) -> Params:
        """Of one trajectory before its first action."""
        return self._method.begin(self._learner.network, self._meta, self._first, 1)

    def examples(self, count: int) -> tuple[Tensor, ...]:
        """Standard normal observations, rewards and memories; any action."""
        generator = torch.Generator().manual_seed(1)

        def noise(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=generator)

        problem = self._problem
        actions = noise(problem.outputs)
        if problem.actions == "discrete":
            actions = actions.argmax(-1)
        memory = [noise(*tensor.shape[1:]) for tensor in self.memory.values()]
        ended, begun = noise() > 0, noise() > -1
        return (*super().examples(count), actions, noise(), ended, begun, *memory)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Each trajectory on its own."""
        outputs, memory = self._act(*inputs)
        return (outputs[:, : self._problem.policy_outputs], *memory.values())

    def _nothing(self, count: int) -> tuple[Tensor, ...]:
        """What is told before the first action, and the memory then."""
        _, actions, reward, ended, begun, *_ = self.examples(count)
        told = [torch.zeros_like(each) for each in (actions, reward, ended, begun)]
        return (*told, *self.memory.values())

    def _act(self, *inputs: Tensor) -> tuple[Tensor, Params]:
        memory = dict(zip(self.memory, inputs[5:], strict=True))
        network, seen = self._learner.network, Seen(*inputs[:5])
        return self._method.act(network, self._meta, self._first, memory, seen)
