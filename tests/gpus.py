"""Small trainings of every algorithm, on a device that is asked for."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from metapipe import Meta, Step
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.numerics import LocalTaskMap
from metapipe.runs.preparation import prepare
from metapipe.runs.recipes import draw_meta_batch
from metapipe.training.delivery import delivered
from metapipe.training.execution import meta_step
from metapipe.training.loop import (
    TrainingState,
    initial_state,
    iterations,
)
from metapipe.training.trial import able

REGISTRY = load()
ENTRIES = [entry for entry in REGISTRY.entries("algorithm") if entry.cls.needs_training]
OF_SAMPLES = [entry.name for entry in ENTRIES if entry.cls.kinds != {"control"}]
OF_WORLDS = {
    "maml-trpo": "navigation2d",
    "promp": "navigation2d",
    "rl2": "bandit",
    "snail-rl": "bandit",
}
"""What learns to act in worlds, and in which."""

SPECIAL = {"metanet": {"normalise": False}}
"""What a method needs the network to be."""


def experiment(
    algorithm: str, device: str, more: Mapping[str, Mapping[str, Any]] | None = None
) -> Experiment:
    """Of images of digits, or of worlds; quick, with nothing validated."""
    world = OF_WORLDS.get(algorithm)
    tables: dict[str, dict[str, Any]] = {
        "run": {
            "algorithm": algorithm,
            "dataset": world or "digits",
            "model": "mlp" if world else "conv4",
            "device": device,
        },
        "task": {"ways": 1, "shots": 2} if world else {"ways": 3},
        "model": {"layers": [8]}
        if world
        else {"width": 8, "blocks": 2, **SPECIAL.get(algorithm, {})},
        "training": {
            "tasks": 3,
            "iterations": 4,
            "validate_every": 0,
            "mapping": "loop",
        },
        "evaluation": {"episodes": 3},
    }
    if world in ("navigation2d",):
        tables["dataset"] = {"steps": 5}
    if world == "bandit":
        tables["task"]["shots"] = 0
    tables["task"]["queries"] = 3
    for section, values in (more or {}).items():
        tables[section] = tables.get(section, {}) | dict(values)
    return Experiment.from_dict(tables, REGISTRY)


class Training:
    """One that was prepared, and its state."""

    def __init__(
        self,
        algorithm: str,
        device: str,
        mapping: str = "loop",
        more: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.experiment = experiment(algorithm, device, more)
        ready = prepare(self.experiment)
        self.source = delivered(ready.sources["train"], ready.learner.device)
        self.learner = replace(ready.learner, mapping=LocalTaskMap.parse(mapping))
        self.meta: Meta = ready.meta
        groups = self.experiment.algorithm.groups()
        self.state: TrainingState = initial_state(
            ready.meta, self.experiment.training, groups
        )

    def draw(self, iteration: int) -> list[Any]:
        """The meta-batch of an iteration."""
        return draw_meta_batch(
            *(self.experiment, self.learner, self.state.meta, self.source, iteration)
        )

    def losses(self, steps: int) -> list[float]:
        """Of so many further iterations."""
        settings = self.experiment.training.model_copy(
            update={"iterations": self.state.step + steps}
        )
        loop = iterations(self.learner, self.state, settings, self.draw, seed=0)
        return [iteration.loss for iteration in loop]

    def step(self, mapping: str) -> Step:
        """The first meta-gradient, by a task map."""
        torch.manual_seed(0)
        task_map = LocalTaskMap.parse(mapping)
        return meta_step(self.learner, self.state.meta, self.draw(0)[0], task_map)


@cache
def mappable(algorithm: str, mapping: str) -> bool:
    """Whether it can be mapped so on a CPU: then it has to be on a GPU."""
    training = Training(algorithm, "cpu")
    (episodes,) = training.draw(0)
    task_map = LocalTaskMap.parse(mapping)
    return able(training.learner, training.state.meta, episodes, task_map)


def flat(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """All of them, one after the other, on the CPU and in float64."""
    found = [tensor.detach().flatten().double().cpu() for tensor in tensors.values()]
    return torch.cat(found)


def difference(one: Step, other: Step) -> float:
    """Of two meta-gradients: the length of their difference, relative to their own."""
    first, second = flat(one.gradients), flat(other.gradients)
    return float((first - second).norm() / first.norm().clamp_min(1e-12))
