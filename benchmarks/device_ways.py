"""The ways to compute a meta-gradient that `devices.py` measures."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

import torch
from by_hand import meta_gradient as by_hand
from by_hand import pooled, strided
from torch import nn

from metapipe import Algorithm, Episodes, Problem, Samples, Task
from metapipe.numerics.kernels import settled_kernels
from metapipe.numerics.precision import Precision
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.numerics.tuning import candidates
from metapipe.training.execution import executing, meta_step
from metapipe.training.learner import build_learner
from metapipe.training_settings import Execution
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4

WAYS, QUERIES, INNER_LR = 5, 15, 0.1
STEPS = {"maml, 1 step": 1, "maml, 5 steps": 5, "protonet": 0}


EXECUTIONS: tuple[Execution, ...] = ("graph", "compile")
"""The second is for what is differentiated once."""


@dataclass
class Way:
    """One way to compute a meta-gradient, and what it took."""

    mapping: str
    precision: str
    work: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    peak: int | None = None
    failed: str | None = None

    def row(self) -> dict[str, Any]:
        """What is kept of it; quartiles are of two rounds or more."""
        found: dict[str, Any] = {"mapping": self.mapping, "precision": self.precision}
        if self.failed or not self.seconds:
            return {**found, "failed": self.failed or "no time was left"}
        quartiles = [self.seconds[0]] * 3
        if len(self.seconds) > 1:
            quartiles = statistics.quantiles(self.seconds, n=4, method="inclusive")
        names = ("low", "median", "high")
        peak = None if self.peak is None else self.peak / 2**20
        return {
            **found,
            **dict(zip(names, quartiles, strict=True)),
            "rounds": len(self.seconds),
            "peak_mib": peak,
        }


@dataclass(frozen=True)
class Setup:
    """What is computed, whatever the way."""

    device: str
    method: str
    shape: tuple[int, int, int]
    tasks: int

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.device}, {self.method}, {shape}, {self.tasks} tasks"


def ways_of(setup: Setup, more: bool) -> list[Way]:
    """Task maps by precisions, and by hand; with `more` other executions too."""
    steps, (_, side, _) = STEPS[setup.method], setup.shape
    algorithm: Algorithm = maml(steps) if steps else ProtoNet()
    problem = Problem("classification", setup.shape, WAYS, 100)
    model = conv4(side) if steps else conv4(84)
    learner, meta = build_learner(algorithm, model, problem, setup.device, seed=0)
    episodes = drawn(setup.tasks, setup.shape, setup.device)
    chunk = min(8, setup.tasks // 2)
    maps = candidates("auto", chunk, setup.tasks, setup.device)
    precisions: tuple[Precision, ...] = ("float32",)
    if setup.device == "cuda":
        precisions = get_args(Precision)
    ways: list[Way] = []
    work: Callable[[], object]
    for mapping in maps if steps else [LocalTaskMap("loop")]:
        for precision in precisions:
            which = replace(learner, precision=precision, mapping=mapping)
            work = partial(undisturbed, mapping, meta_step, which, meta, episodes)
            name = str(mapping) if steps else "all at once"
            ways.append(Way(name, precision, work))
            if more and setup.device == "cuda" and precision == "float32":
                for execution in EXECUTIONS if not steps else EXECUTIONS[:1]:
                    gradient = executing(which.executed_by(execution))
                    work = partial(gradient, meta, episodes)
                    ways.append(Way(f"{name}, {execution}", precision, work))
    if steps:
        network = plain(setup.shape).to(setup.device)
        sets = (tuple(episodes.support), tuple(episodes.query))
        work = partial(by_hand, network, *sets, steps, INNER_LR)
        settled = partial(in_float32, setup.device, work)
        ways.append(Way("by hand", "float32", settled))
        if setup.device == "cuda":
            ways.append(Way("by hand", "as torch does", work))
    return ways


def undisturbed(
    mapping: LocalTaskMap, work: Callable[..., object], *arguments: Any
) -> object:
    """As in training: operations of this thread are on one core while others work."""
    with mapping.undisturbed():
        return work(*arguments, mapping)


def in_float32(device: str, work: Callable[[], object]) -> None:
    """By the kernels that ours takes: no TF32, and the same bits each time."""
    with settled_kernels(device, tf32=False):
        work()


def maml(steps: int) -> MAML:
    """What `by_hand` computes: the mean loss, and all parameters descend."""
    return MAML(
        inner_lr=INNER_LR,
        inner_steps=steps,
        inner_loss="mean",
        adapt_normalisation=True,
    )


def conv4(side: int) -> Conv4:
    """With strides for small pictures, as in MAML; pooled for larger ones."""
    if side < 84:
        return Conv4(scale=True)
    return Conv4(pooling="max", features="flatten", scale=True)


def plain(shape: tuple[int, int, int]) -> nn.Module:
    """The same network without metapipe."""
    channels, side, _ = shape
    return strided(channels, WAYS) if side < 84 else pooled(channels, WAYS, side)


def drawn(
    tasks: int,
    shape: tuple[int, ...],
    device: str,
    dtype: torch.dtype = torch.float32,
    queries: int = QUERIES,
) -> Episodes:
    """Random pictures."""
    generator = torch.Generator().manual_seed(0)

    def samples(each: int) -> Samples:
        size = (tasks, WAYS * each, *shape)
        pictures = torch.rand(size, generator=generator, dtype=dtype)
        labels = torch.arange(WAYS).repeat_interleave(each).repeat(tasks, 1)
        return Samples(pictures.to(device), labels.to(device))

    recipes = tuple(Task("none", "train", 0, i, WAYS, 1, queries) for i in range(tasks))
    return Episodes(recipes, samples(1), samples(queries))


def check_equal() -> None:
    """By hand and ours agree to 1e-9 in double precision, in both networks."""
    for shape in ((1, 28, 28), (3, 84, 84)):
        torch.manual_seed(0)
        network = conv4(shape[1]).build(shape, WAYS, "batch").double()
        other = plain(shape).double()
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
            theirs.data.copy_(mine.detach())
        episodes = drawn(2, shape, "cpu", torch.float64, queries=1)
        algorithm = maml(2)
        step = algorithm.meta_gradient(
            network, algorithm.init(network), episodes, LocalTaskMap("loop")
        )
        hand = by_hand(other, episodes.support, episodes.query, 2, INNER_LR)
        for grad, theirs in zip(step.gradients.values(), hand, strict=True):
            torch.testing.assert_close(grad, theirs, rtol=1e-9, atol=1e-9)
