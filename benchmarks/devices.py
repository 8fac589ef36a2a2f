"""How long a meta-gradient takes: methods, shapes, task maps, precisions and devices.

    python benchmarks/devices.py [--only cuda] [--seconds 100] [--out build/devices]

MAML of one and of five inner steps, and ProtoNet, 5-way 1-shot with 15 queries a class,
conv4-64 on synthetic pictures (the shape decides the speed, not what they show). All
ways to compute one meta-gradient take turns, round after round; of each the median and
quartiles, and on CUDA the peak of memory beyond what lay there before. "by hand" is
MAML in plain torch, benchmarks/by_hand.py, which computes the same (checked in double
precision before anything is timed): by the same kernels, and on CUDA also by those that
torch takes by itself, TF32 among them. What the time is over for says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from by_hand import meta_gradient as by_hand
from by_hand import pooled, strided
from torch import nn

from metapipe import Algorithm, Episodes, Problem, Samples, Task
from metapipe.errors import OutOfMemoryError
from metapipe.numerics.kernels import settled_kernels
from metapipe.numerics.memory import keep_freed_memory
from metapipe.numerics.precision import Precision
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.numerics.tuning import candidates
from metapipe.training.learner import build_learner
from metapipe.training.loop import meta_step
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4

WAYS, QUERIES, INNER_LR = 5, 15, 0.1
SHAPES = ((1, 28, 28), (3, 84, 84))
BATCHES = (4, 32)
STEPS = {"maml, 1 step": 1, "maml, 5 steps": 5, "protonet": 0}
ROUNDS, LEAST = 25, 3
"""Of each way at most; and at least, if there is time at all."""

SHARE = 0.65
"""Of the time, for CUDA where there is one: what it leaves is the CPU's."""


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


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="setups whose name has this")
    parser.add_argument("--seconds", type=float, default=100, help="in all")
    parser.add_argument("--quick", action="store_true", help="four tasks, 28x28 only")
    parser.add_argument("--out", type=Path, help="folder for devices.json and .md")
    asked = parser.parse_args()
    keep_freed_memory()
    check_equal()
    found: dict[str, Any] = {"machine": machine(), "setups": []}
    for setup, seconds in shares(chosen(asked.only, asked.quick), asked.seconds):
        ways = measured(setup, seconds)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        found["setups"].append(
            {
                "setup": str(setup),
                "device": setup.device,
                "method": setup.method,
                "shape": setup.shape,
                "tasks": setup.tasks,
                "ways": [way.row() for way in ways],
            }
        )
        print(section(found["setups"][-1]), flush=True)
        if asked.out:
            write(asked.out, found)
    print("\n".join(described(found["machine"])))


def chosen(only: str, quick: bool) -> list[Setup]:
    """CUDA first, then what takes longer."""
    devices = ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    setups = [
        Setup(device, method, shape, tasks)
        for device in devices
        for shape in SHAPES[: 1 if quick else 2]
        for tasks in BATCHES[: 1 if quick else 2]
        for method in STEPS
    ]
    return [setup for setup in setups if only in str(setup)]


def shares(setups: list[Setup], seconds: float) -> Iterator[tuple[Setup, float]]:
    """Each with the seconds that it may take: what one leaves is the others'."""
    begun = time.perf_counter()
    both = len({setup.device for setup in setups}) > 1
    for place, setup in enumerate(setups):
        of_device = [s for s in setups[place:] if s.device == setup.device]
        end = seconds * (SHARE if both and setup.device == "cuda" else 1)
        left = end - (time.perf_counter() - begun)
        yield setup, max(left, 0) / len(of_device)


def measured(setup: Setup, seconds: float) -> list[Way]:
    """All ways, in turns, within about so many seconds."""
    begun = time.perf_counter()

    def late(times: int = 1) -> bool:
        return time.perf_counter() - begun >= times * seconds

    ways = ways_of(setup)
    for way in ways:  # the first calls are not counted: libraries choose their kernels
        if not late():
            with told(way):
                way.peak = peak(setup.device, way.work)
    for done in range(ROUNDS):
        if late() and done >= LEAST:
            break
        for way in ways:
            if not way.failed and not late(3):
                with told(way):
                    way.seconds.append(clock(setup.device, way.work))
    return ways


@contextmanager
def told(way: Way) -> Iterator[None]:
    """Whatever fails is a word in the table, and the others go on."""
    try:
        yield
    except (torch.cuda.OutOfMemoryError, OutOfMemoryError):
        way.failed = "out of memory"
    except Exception as error:  # one way that fails must not cost the whole table
        way.failed = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
    if way.failed and torch.cuda.is_available():
        torch.cuda.empty_cache()


def ways_of(setup: Setup) -> list[Way]:
    """Task maps by precisions, and by hand."""
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
    ways = []
    for mapping in maps if steps else [LocalTaskMap("loop")]:
        for precision in precisions:
            which = replace(learner, precision=precision)
            work = partial(undisturbed, mapping, meta_step, which, meta, episodes)
            name = str(mapping) if steps else "all at once"
            ways.append(Way(name, precision, work))
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
) -> None:
    """As in training: operations of this thread are on one core while others work."""
    with mapping.undisturbed():
        work(*arguments, mapping)


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
            theirs.data = mine.detach().clone()
        episodes = drawn(2, shape, "cpu", torch.float64, queries=1)
        algorithm = maml(2)
        step = algorithm.meta_gradient(
            network, algorithm.init(network), episodes, LocalTaskMap("loop")
        )
        hand = by_hand(other, episodes.support, episodes.query, 2, INNER_LR)
        for grad, theirs in zip(step.gradients.values(), hand, strict=True):
            torch.testing.assert_close(grad, theirs, rtol=1e-9, atol=1e-9)


def clock(device: str, work: Callable[[], object]) -> float:
    """Seconds of one call, with all that it left to be done on the device."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Until a device that is given work has done it."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak(device: str, work: Callable[[], object]) -> int | None:
    """Bytes on a CUDA device at most, beyond what lay there before."""
    if device != "cuda":
        work()
        return None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def machine() -> dict[str, Any]:
    """What the figures are of."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }
    if torch.cuda.is_available():
        facts |= {
            "card": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
            "tf32 of convolutions, outside": torch.backends.cudnn.allow_tf32,
            "tf32 of products, outside": torch.backends.cuda.matmul.allow_tf32,
        }
    return facts


def write(folder: Path, found: dict[str, Any]) -> None:
    """What there is so far: a run that is cut has it too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "devices.json").write_text(json.dumps(found, indent=1), "utf-8")
    text = "\n".join(
        ["# Devices", "", *described(found["machine"]), ""]
        + [section(setup) for setup in found["setups"]]
    )
    (folder / "devices.md").write_text(text, "utf-8")


def described(facts: dict[str, Any]) -> list[str]:
    """The machine, as a list."""
    return [f"- {name}: {value}" for name, value in facts.items()]


def section(setup: dict[str, Any]) -> str:
    """A markdown table of one setup, the ratio being to the first row's median."""
    lines = [
        f"## {setup['setup']}",
        "",
        "| mapping | precision | ms [quartiles] | rounds | of the first | peak MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    first = setup["ways"][0].get("median")
    for way in setup["ways"]:
        begin = f"| {way['mapping']} | {way['precision']} |"
        if "failed" in way:
            lines.append(f"{begin} {way['failed']} | | | |")
            continue
        low, middle, high = (1000 * way[name] for name in ("low", "median", "high"))
        ratio = f"{way['median'] / first:.2f}" if first else ""
        most = "" if way["peak_mib"] is None else f"{way['peak_mib']:.0f}"
        lines.append(
            f"{begin} {middle:.1f} [{low:.1f}, {high:.1f}] | {way['rounds']} | {ratio} "
            f"| {most} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
