"""One second-order MAML meta-iteration, ours against `higher`, interleaved.

    pip install higher && python benchmarks/meta_iteration.py

Both compute the same meta-gradient of the same network on the same 32 five-way one-shot
tasks (checked in double precision before anything is timed). Only the ratio means
something: the machine drifts, so rounds alternate, and the median ratio is printed.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial

import higher
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe import Episodes, Meta, Samples, Task
from metapipe.numerics.tuning import candidates, fastest
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

INNER_LR = 0.1
SETTINGS = [  # name, model, queries a class, inner steps
    ("omniglot", Conv4(scale=True), 1, 1),
    ("omniglot", Conv4(scale=True), 1, 5),
    ("omniglot", Conv4(scale=True), 15, 1),
    ("pooled", Conv4(pooling="max", features="flatten", scale=True), 15, 1),
    ("pooled", Conv4(pooling="max", features="flatten", scale=True), 15, 5),
]


def draw(tasks: int, queries: int, dtype: torch.dtype) -> Episodes:
    """Random images: the arithmetic does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)

    def samples(each: int) -> Samples:
        shape = (tasks, 5 * each, 1, 28, 28)
        labels = torch.arange(5).repeat_interleave(each).repeat(tasks, 1)
        return Samples(torch.rand(shape, generator=generator, dtype=dtype), labels)

    recipes = tuple(Task("none", "train", 0, i, 5, 1, queries) for i in range(tasks))
    return Episodes(recipes, samples(1), samples(queries))


def with_higher(network: nn.Module, episodes: Episodes, steps: int) -> list[Tensor]:
    """Higher's own recipe: a differentiable SGD in a context, a backward per task."""
    optimiser = torch.optim.SGD(network.parameters(), lr=INNER_LR)
    network.zero_grad()
    for task in range(len(episodes.tasks)):
        with higher.innerloop_ctx(network, optimiser, copy_initial_weights=False) as (
            functional,
            inner,
        ):
            for _ in range(steps):
                logits = functional(episodes.support.inputs[task])
                inner.step(F.cross_entropy(logits, episodes.support.targets[task]))
            logits = functional(episodes.query.inputs[task])
            loss = F.cross_entropy(logits, episodes.query.targets[task])
            (loss / len(episodes.tasks)).backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def main() -> None:
    """Check equality, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'network':10}{'queries':>8}{'steps':>6}  mapping      ours  higher  ratio")
    for name, model, queries, steps in SETTINGS:
        maml = MAML(
            inner_lr=INNER_LR,
            inner_steps=steps,
            inner_loss="mean",
            adapt_normalisation=True,
        )
        torch.manual_seed(0)
        network = model.build((1, 28, 28), 5, "batch")
        check_equal(maml, network, queries, steps)
        episodes = draw(arguments.tasks, queries, torch.float32)
        meta = Meta.of(network)
        maps = candidates("auto", 8, arguments.tasks, "cpu")
        work = partial(maml.meta_gradient, network, meta, episodes)
        best = fastest(maps, work, rounds=2)
        ours, theirs = interleave(
            arguments.rounds,
            partial(work, best),
            partial(with_higher, network, episodes, steps),
        )
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{name:10}{queries:8}{steps:6}  {best!s:10}{statistics.median(ours):7.3f}"
            f"{statistics.median(theirs):8.3f}{ratio:7.2f}",
            flush=True,
        )


def check_equal(maml: MAML, network: nn.Module, queries: int, steps: int) -> None:
    """The two meta-gradients agree to 1e-9 in double precision."""
    network = copy.deepcopy(network).double()
    episodes = draw(2, queries, torch.float64)
    (task_map,) = candidates("loop", 8, 2, "cpu")
    ours = maml.meta_gradient(network, Meta.of(network), episodes, task_map)
    theirs = with_higher(network, episodes, steps)
    for mine, other in zip(ours.gradients.values(), theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


def interleave(rounds: int, *works: Callable[[], object]) -> tuple[list[float], ...]:
    """Seconds of each work in each round, taken in turns."""
    seconds: tuple[list[float], ...] = tuple([] for _ in works)
    for _ in range(rounds):
        for work, column in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            column.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
