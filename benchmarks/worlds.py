"""What learning to act costs: steps a second, a meta-iteration, and all beside it.

    python benchmarks/worlds.py [--mapping vmap] [--threads 1]

The authors' recipe on navigation2d: 20 tasks x 20 trajectories, 2x100 units, a quarter
of the trajectories for the curvature. Seconds are of the processor, all threads
together, so that a machine which others use too says nearly the same; at best two
threads halve them. Steps a second have the world and the policy in them; what tasks
learn in between is told apart. Beside the work of a meta-iteration are the outer step,
records, checkpoints and the store. The issue asks for 0.5 million steps, 2 s on two
cores, and less than 5 % beside.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import metapipe
from metapipe.data.sampling import tasks
from metapipe.training import rollout
from metapipe.training.learner import build_learner, problem_of
from metapipe_plugins.algorithms.maml_trpo import MAMLTRPO
from metapipe_plugins.datasets.navigation2d import Navigation2D
from metapipe_plugins.models.mlp import MLP

TASKS, TRAJECTORIES, STEPS = 20, 20, 100


@dataclass
class Timed:
    """A function, with the seconds of the processor that each call took, and when it
    returned."""

    function: Callable[..., Any]
    seconds: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """As the function."""
        begun = time.process_time()
        found = self.function(*given, **named)
        self.ended.append(time.process_time())
        self.seconds.append(self.ended[-1] - begun)
        return found


def rollouts(rounds: int) -> dict[str, list[float]]:
    """Millions of steps a second of one policy in all worlds, of one a task, and of
    both, as in a meta-iteration; and the seconds in which tasks learn theirs."""
    arena = Navigation2D(steps=STEPS).open("train")
    problem = problem_of(arena, 1, TRAJECTORIES)
    method, model = MAMLTRPO(inner_lr=0.5), MLP(layers=(100, 100))
    learner, meta = build_learner(method, model, problem, "cpu", 0)
    adapted = rollout.adapted = Timed(rollout.adapted)
    whole = Timed(rollout.collect)
    one, own, both = [], [], []
    million = TASKS * TRAJECTORIES * STEPS / 1e6
    for number in range(rounds):
        for shots in (0, TRAJECTORIES):
            drawn = tasks(
                *("x", "train", 0, TASKS * number, TASKS, 1, shots, TRAJECTORIES)
            )
            whole(learner, meta, arena, drawn, training=True)
        first, second = whole.seconds[-2], whole.seconds[-1] - adapted.seconds[-1]
        one.append(million / first)
        own.append(million / (second - first))
        both.append(2 * million / second)
    rollout.adapted = adapted.function
    return {
        "one policy, million steps/s": one,
        "a policy a task, million steps/s": own,
        "the one, then the other": both,
        "tasks learn theirs, s": adapted.seconds,
    }


def iterations(count: int, mapping: str) -> tuple[list[float], list[float], str]:
    """Seconds of the work of each meta-iteration of a training, and of all else."""
    collect = rollout.collect = Timed(rollout.collect)
    plain = MAMLTRPO.meta_gradient
    gradient = Timed(plain)
    MAMLTRPO.meta_gradient = lambda *given: gradient(*given)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        told = metapipe.train(
            plugin="maml-trpo",
            dataset="navigation2d",
            iterations=count + 1,
            mapping=mapping,
            settings={"training.validate_every": 0, "evaluation.episodes": 1},
            project=Path(folder),
            progress=False,
        )
    rollout.collect, MAMLTRPO.meta_gradient = collect.function, plain  # type: ignore[method-assign]
    work, beside = [], []
    for number in range(-count, 0):
        whole = gradient.ended[number] - gradient.ended[number - 1]
        # The test is the last that is played.
        spent = gradient.seconds[number] + collect.seconds[number - 1]
        work.append(spent)
        beside.append(whole - spent)
    return work, beside, told.mapping


def main() -> None:
    """Print medians, with the best and the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--mapping", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for name, values in rollouts(asked.rounds).items():
        line(name, values, best=min if name.endswith(" s") else max)
    begun = time.perf_counter()
    work, beside, mapping = iterations(asked.rounds, asked.mapping)
    clock = time.perf_counter() - begun
    line(f"meta-iteration by {mapping}, s", work)
    line("beside it, %", [100 * b / (w + b) for w, b in zip(work, beside, strict=True)])
    print(f"{clock:.0f} s by the clock, {asked.threads} threads an operation")


def line(what: str, values: list[float], best: Callable[..., float] = min) -> None:
    """One figure."""
    worst = min if best is max else max
    print(
        f"{what:32}{statistics.median(values):8.3g}  best {best(values):.3g}, worst "
        f"{worst(values):.3g}"
    )


if __name__ == "__main__":
    main()
