"""Any number of fuzzed inputs over all that reads what users and strangers write.

    python benchmarks/fuzz.py --inputs 1000000 --processes 2
    python benchmarks/fuzz.py --only archives --seed 12345     # one again

What is asked of each is in `tests/fuzzing/target.py`: it is read, or refused by an
error of ours in one line, in 5 s and 1 GiB. The suite runs ten thousand of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SHARES = {
    "filters": 15,
    "assignments": 25,
    "projects": 10,
    "adapted models": 10,
    "checkpoints": 5,
    "archives": 12,
    "tables": 15,
    "pictures": 8,
}
"""Per cent of the inputs."""

HANGS = 60
"""Seconds after which an input is given up."""


def main() -> None:
    """Run them, and print a line a target and the faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="seed of the first input")
    parser.add_argument("--only", choices=SHARES)
    parser.add_argument("--seed", type=int, help="run this one alone, with a traceback")
    options = parser.parse_args()
    if options.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            target = _targets(Path(folder))[options.only]
            print(target.try_one(options.seed, Path(folder)))
        return
    began = time.perf_counter()
    shares = [_share(options, number) for number in range(options.processes)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn) as pool:
        found = list(pool.map(_run, shares))
    ends: dict[str, Counter[str]] = {}
    faults: list[str] = []
    for counts, these in found:
        faults += these
        for name, counter in counts.items():
            ends.setdefault(name, Counter()).update(counter)
    _report(ends, faults, time.perf_counter() - began)
    sys.exit(bool(faults))


def _share(options: argparse.Namespace, number: int) -> dict[str, range]:
    """The seeds of each target that one process tries."""
    names = [options.only] if options.only else list(SHARES)
    total = sum(SHARES[name] for name in names)
    return {
        name: range(
            options.first + number,
            options.first + options.inputs * SHARES[name] // total,
            options.processes,
        )
        for name in names
    }


def _run(seeds: dict[str, range]) -> tuple[dict[str, Counter[str]], list[str]]:
    from fuzzing.target import Fault

    signal.signal(signal.SIGALRM, _too_long)
    ends: dict[str, Counter[str]] = {}
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        targets = _targets(Path(folder))
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        for name, numbers in seeds.items():
            ends[name] = Counter()
            for seed in numbers:
                signal.alarm(HANGS)
                try:
                    ends[name][targets[name].try_one(seed, scratch)] += 1
                except Fault as fault:
                    ends[name]["FAULT"] += 1
                    faults.append(f"{name}, seed {seed}: {fault}")
                    print(faults[-1][:700], file=sys.stderr, flush=True)
                finally:
                    signal.alarm(0)
    return ends, faults


def _targets(folder: Path) -> dict[str, Any]:
    from fuzzing.all import targets

    return {target.name: target for target in targets(folder)}


def _too_long(*_: object) -> None:
    raise TimeoutError(f"not done after {HANGS} s")


def _report(ends: dict[str, Counter[str]], faults: list[str], seconds: float) -> None:
    for name, counter in ends.items():
        shown = ", ".join(f"{end} {count:,}" for end, count in counter.most_common())
        print(f"{name:15} {counter.total():>9,}: {shown}")
    inputs = sum(counter.total() for counter in ends.values())
    load = os.getloadavg()[0]
    print(f"{inputs:,} in {seconds:.0f} s (load {load:.1f}): {len(faults)} faults")


if __name__ == "__main__":
    main()
