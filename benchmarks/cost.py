"""What a meta-iteration costs, beside a plain pass over the same images.

    python benchmarks/cost.py [--ways 5 --shots 1 --queries 15 --tasks 4] [--write]

For each algorithm, in a process of its own: the time of a meta-iteration over that of a
forward and backward pass of the same images through the same model (median of rounds
that alternate the two), the same for floating-point operations (torch's counter), and,
in one more process, how much the peak of resident memory grows. Time over operations
tells overhead: above 2 is marked. Memory is allocated as in a training.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from metapipe import Episodes, Meta, Problem, Samples, Task
from metapipe.experiment.registry import load
from metapipe.numerics.functional import apply, own
from metapipe.numerics.memory import keep_freed_memory
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.numerics.tuning import fastest
from metapipe_plugins.algorithms.metaoptnet import MetaOptNet

TABLE = Path(__file__).parent / "COST.md"
MAPS = [LocalTaskMap("loop"), LocalTaskMap("vmap")]
GIB = 24
"""Memory of the machine that all this is to run on."""


def main() -> None:
    """Measure one algorithm, or all, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", help="measure this one, here; print JSON")
    for name, default in (("ways", 5), ("shots", 1), ("queries", 15), ("tasks", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--head", help="of metaoptnet")
    parser.add_argument("--mapping", help="with --algorithm: memory, in this mapping")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="append to COST.md")
    arguments = parser.parse_args()
    if arguments.algorithm:
        print(json.dumps(measure(arguments)))
        return
    text = table(arguments)
    print(text)
    if arguments.write:
        before = TABLE.read_text() if TABLE.exists() else f"# Cost\n\n{HEADER}\n"
        TABLE.write_text(f"{before}\n{text}", encoding="utf-8")


HEADER = (
    "Written by `benchmarks/cost.py --write`. Relative to a forward and backward pass "
    "of the same 28x28 images through the same model (conv4 as the algorithm "
    "recommends it), one thread, float32. Over: time over operations; above 2 is "
    "overhead. Memory: growth of the peak of resident memory in a fresh process, which "
    "maps tasks as named; the plain pass's own is in brackets. A head is timed alone, "
    "forward and back, on the features of the same images."
)


def table(arguments: argparse.Namespace) -> str:
    """A markdown table of all algorithms."""
    shape = f"{arguments.ways}-way {arguments.shots}-shot, {arguments.queries} queries"
    lines = [
        f"## {shape}, {arguments.tasks} tasks",
        "",
        "| algorithm | time | operations | over | memory in MB | mapping |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    numbers = ("ways", "shots", "queries", "tasks", "rounds")
    options = [f"--{n}={getattr(arguments, n)}" for n in numbers]
    names = load().names("algorithm")
    found = {name: figures(["--algorithm", name, *options]) for name in names}
    found["metaoptnet, ridge"] = figures(
        ["--algorithm", "metaoptnet", "--head", "ridge", *options]
    )
    lines += [line(name, measured) for name, measured in sorted(found.items())]
    heads = [
        f"{head} {found[name]['head']:.0%}"
        for head, name in (("svm", "metaoptnet"), ("ridge", "metaoptnet, ridge"))
        if "head" in found[name]
    ]
    beyond = [n for n, f in found.items() if "failed" in f or f["peak"] > GIB * 1024]
    all_but = f"all but {', '.join(beyond)}" if beyond else "all of them"
    lines += [
        "",
        f"MetaOptNet's head, of its iteration: {', '.join(heads)}.",
        f"Within {GIB} GiB: {all_but}.",
    ]
    return "\n".join(lines) + "\n"


def figures(options: list[str]) -> dict[str, Any]:
    """Times, then memory: a process would inherit the peak of one that started it."""
    times = in_process(options)
    if "failed" in times:
        return times
    return times | in_process([*options, "--mapping", times["mapping"]])


def in_process(options: list[str]) -> dict[str, Any]:
    """What a fresh process measured, or why it failed."""
    command = [sys.executable, __file__, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"signal {-done.returncode}"]
        return {"failed": told[-1][:80]}
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def line(name: str, measured: dict[str, Any]) -> str:
    """One row of the table."""
    if "failed" in measured:
        return f"| {name} | failed: {measured['failed']} | | | | |"
    over = measured["time"] / measured["operations"]
    high = " **high**" if over > 2 else ""
    return (
        f"| {name} | {measured['time']:.2f} | {measured['operations']:.2f} "
        f"| {over:.2f}{high} | {measured['memory']:.0f} ({measured['plain']:.0f}) "
        f"| {measured['mapping']} |"
    )


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one algorithm: times, or with a mapping its memory."""
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    registry = load()
    cls = registry.entry("algorithm", arguments.algorithm).cls
    chosen = {} if arguments.head is None else {"head": arguments.head}
    algorithm = registry.create("algorithm", arguments.algorithm, chosen)
    prefix = "model."
    settings = {
        key.removeprefix(prefix): value
        for key, value in cls.recommended.items()
        if key.startswith(prefix)
    }
    model = registry.create("model", "conv4", settings)
    drawn = episodes(arguments)
    problem = Problem("classification", (1, 28, 28), arguments.ways, 1000)
    network = algorithm.build(model, problem)
    meta = algorithm.init(network)
    pure = model.build(problem.shape, arguments.ways, "batch")
    images = torch.cat([s.inputs.flatten(0, 1) for s in (drawn.support, drawn.query)])
    labels = torch.cat([s.targets.flatten() for s in (drawn.support, drawn.query)])

    def plain() -> None:
        F.cross_entropy(pure(images), labels).backward()

    def whole(task_map: LocalTaskMap) -> object:
        return algorithm.meta_gradient(network, meta, drawn, task_map)

    if arguments.mapping:
        return memory(plain, partial(whole, LocalTaskMap.parse(arguments.mapping)))
    plain()
    mapping = fastest(MAPS, whole, rounds=1, tasks=arguments.tasks)
    pairs = range(max(1, arguments.rounds))
    seconds = [(clock(plain), clock(lambda: whole(mapping))) for _ in pairs]
    found: dict[str, Any] = {
        "time": statistics.median(mine / theirs for theirs, mine in seconds),
        "operations": operations(lambda: whole(mapping)) / operations(plain),
        "mapping": str(mapping),
    }
    if isinstance(algorithm, MetaOptNet):
        head = head_alone(algorithm, network, meta, drawn, images)
        shares = [clock(head) / clock(lambda: whole(mapping)) for _ in pairs]
        found["head"] = statistics.median(shares)
    return found


def memory(plain: Callable[[], object], whole: Callable[[], object]) -> dict[str, Any]:
    """Growth of the peak of resident memory in MB, and the peak: nothing else may have
    run in this process."""
    before = peak()
    plain()
    between = peak()
    whole()
    after = peak()
    return {"plain": between - before, "memory": after - before, "peak": after}


def head_alone(
    algorithm: MetaOptNet,
    network: nn.Module,
    meta: Meta,
    drawn: Episodes,
    images: Tensor,
) -> Callable[[], object]:
    """What is left of a meta-iteration if the features of all `images`, those of
    `drawn`, are there, normalised as in training: forward and back."""
    sets = (drawn.support, drawn.query)
    state = {name: tensor.clone() for name, tensor in meta.state.items()}
    with torch.no_grad():
        features = apply(
            network, own(network, meta.params), images, state=state, training=True
        )
    support, query = (
        part.unflatten(0, s.targets.shape).clone().requires_grad_()
        for part, s in zip(
            features.split([s.targets.numel() for s in sets]), sets, strict=True
        )
    )
    ways = drawn.tasks[0].ways

    def work() -> None:
        labels = drawn.support.targets
        weights = algorithm._fit(support, labels, ways, algorithm.iterations)
        logits = (query @ weights).flatten(0, 1)
        F.cross_entropy(logits, drawn.query.targets.flatten()).backward()

    return work


def episodes(arguments: argparse.Namespace) -> Episodes:
    """Random images."""
    ways, tasks = arguments.ways, arguments.tasks

    def samples(each: int) -> Samples:
        labels = torch.arange(ways).repeat_interleave(each).repeat(tasks, 1)
        return Samples(torch.rand(tasks, ways * each, 1, 28, 28), labels)

    shots, queries = arguments.shots, arguments.queries
    recipes = tuple(
        Task("random", "train", 0, i, ways, shots, queries) for i in range(tasks)
    )
    classes = torch.arange(tasks * ways).reshape(tasks, ways)
    return Episodes(recipes, samples(shots), samples(queries), classes)


def clock(work: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def peak() -> float:
    """Largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
