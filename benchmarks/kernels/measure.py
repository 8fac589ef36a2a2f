"""Second-order MAML on conv4 with pooling: its own operations, and a kernel a block.

    pip install -e . && python benchmarks/kernels/measure.py --rounds 31

A task in a loop, 5 ways, 1 shot and 15 queries, on one thread. How far the two whole
meta-gradients are apart in float64, relative; then they take turns in float32:
milliseconds of the processor a task, the median and the least, and the median of the
ratio with quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch
from conv4_fused import WIDTHS, Conv4Fused
from torch import Tensor

from metapipe import Episodes, Model, Params, Problem
from metapipe.numerics import LocalTaskMap
from metapipe.testing import blobs
from metapipe.training.execution import meta_step
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

WAYS, SHOTS, QUERIES = 5, 1, 15

TASKS = 2
"""In a meta-batch, one after the other."""


def models(width: int) -> dict[str, Model]:
    """The two that are compared."""
    shared = {"width": width, "features": "flatten", "scale": True}
    return {
        "conv4": Conv4(pooling="max", **shared),
        "conv4-fused": Conv4Fused(**shared),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    head = "images", "channels", "steps", *models(64), "times faster", "apart"
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|")
    for shape, width, steps in product(((1, 28, 28), (3, 32, 32)), WIDTHS, (1, 5)):
        print(row(shape, width, steps, rounds), flush=True)


def row(shape: tuple[int, ...], width: int, steps: int, rounds: int) -> str:
    """One of the table."""
    both = models(width)
    exact = [gradient_of(m, shape, steps, torch.float64)() for m in both.values()]
    work = {n: gradient_of(m, shape, steps, torch.float32) for n, m in both.items()}
    taken: dict[str, list[float]] = {name: [] for name in both}
    for number in range(rounds + 1):
        for name in sorted(work, reverse=bool(number % 2)):
            begun = time.process_time()
            work[name]()
            if number:  # the first is not as the others
                taken[name].append((time.process_time() - begun) / TASKS * 1e3)
    ratios = [a / b for a, b in zip(*taken.values(), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    cells = (
        "x".join(map(str, shape)),
        str(width),
        str(steps),
        *(f"{statistics.median(ms):.1f} ({min(ms):.1f})" for ms in taken.values()),
        f"{middle:.2f} [{low:.2f}, {high:.2f}]",
        f"{error(*exact):.0e}",
    )
    return "| " + " | ".join(cells) + " |"


def gradient_of(
    model: Model, shape: tuple[int, ...], steps: int, dtype: torch.dtype
) -> Callable[[], Params]:
    """What makes the meta-gradient of a meta-batch."""
    algorithm = MAML(
        inner_lr=0.125, inner_steps=steps, inner_loss="mean", adapt_normalisation=True
    )
    problem = Problem("classification", shape, WAYS)
    learner, _ = build_learner(algorithm, model, problem, "cpu", seed=0)
    network, mapping = learner.network.to(dtype), LocalTaskMap("loop")
    learner = replace(learner, network=network, mapping=mapping)
    meta, drawn = algorithm.init(network), episodes(shape, dtype)
    return lambda: meta_step(learner, meta, drawn, mapping).gradients


def episodes(shape: tuple[int, ...], dtype: torch.dtype) -> Episodes:
    """Noise: the arithmetic does not depend on what images show."""
    drawn = blobs(tasks=TASKS, ways=WAYS, shots=SHOTS, queries=QUERIES, shape=shape)
    return drawn.each(lambda t: t.to(dtype) if t.is_floating_point() else t)


def error(wanted: Params, found: Params) -> float:
    """Of the whole, relative."""

    def whole(gradients: Params) -> Tensor:
        return torch.cat([gradients[name].flatten() for name in sorted(gradients)])

    return float((whole(found) - whole(wanted)).norm() / whole(wanted).norm())


if __name__ == "__main__":
    main()
