"""How long a meta-gradient takes: methods, shapes, task maps, precisions and devices.

    python benchmarks/devices.py [--only cuda] [--seconds 100] [--out build/devices]

MAML of one and of five inner steps, and ProtoNet, 5-way 1-shot with 15 queries a class,
conv4-64 on synthetic pictures (the shape decides the speed, not what they show). All
ways to compute one meta-gradient take turns, round after round; of each the median and
quartiles, and on CUDA the peak of memory beyond what lay there before. "by hand" is
MAML in plain torch, benchmarks/by_hand.py, which computes the same (checked in double
precision before anything is timed): by the same kernels, and on CUDA also by those that
torch takes by itself, TF32 among them. What the time is over for says so.

With --more there are other executions on CUDA, as of `training.execution`: the whole
meta-gradient recorded as a CUDA graph, and ProtoNet's network compiled (which takes a
minute or more that is in no figure, and the time that --seconds leaves: use --only).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from device_ways import STEPS, Setup, Way, check_equal, ways_of

from metapipe.errors import OutOfMemoryError
from metapipe.numerics.memory import keep_freed_memory

SHAPES = ((1, 28, 28), (3, 84, 84))
BATCHES = (4, 32)
ROUNDS, LEAST = 25, 3
"""Of each way at most; and at least, if there is time at all."""

SHARE = 0.65
"""Of the time, for CUDA where there is one: what it leaves is the CPU's."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="setups whose name has this")
    parser.add_argument("--seconds", type=float, default=100, help="in all")
    parser.add_argument("--quick", action="store_true", help="four tasks, 28x28 only")
    parser.add_argument(
        "--more", action="store_true", help="on CUDA: recorded, and compiled"
    )
    parser.add_argument("--out", type=Path, help="folder for devices.json and .md")
    asked = parser.parse_args()
    keep_freed_memory()
    check_equal()
    found: dict[str, Any] = {"machine": machine(), "setups": []}
    for setup, seconds in shares(chosen(asked.only, asked.quick), asked.seconds):
        ways = measured(setup, seconds, asked.more)
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


def measured(setup: Setup, seconds: float, more: bool) -> list[Way]:
    """All ways, in turns, within about so many seconds."""
    begun = time.perf_counter()

    def late(times: int = 1) -> bool:
        return time.perf_counter() - begun >= times * seconds

    ways = ways_of(setup, more)
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
