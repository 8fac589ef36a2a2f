"""How long commands take to start: seconds over a Python that does nothing.

    python benchmarks/startup.py [--repeats N] [TREE ...]

Each TREE is a checkout, this one if none is given; two are compared in one table. Every
command runs N times, all commands and trees by turns, so that what else the machine
does falls on all of them; the cache is warm, as it is from the second time on. Prints
the median and, in brackets, the least and the most: once by the clock, and once in
seconds of the processor, which others on the machine lengthen less. What a bare
`python -c pass` takes in the median, which is the first line, is taken off all others.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
TRAIN = (
    *("train", "--dataset", "digits", "--model", "mlp", "--iterations", "1"),
    *("--mapping", "loop", "--validate-every", "0", "-s", "evaluation.episodes=5"),
)
"""A training that is over as soon as it has started."""

BARE = "python -c pass"
COMMANDS = {
    BARE: ("-c", "pass"),
    "python -c 'import torch'": ("-c", "import torch"),
    **{
        " ".join(arguments[:3]).split(" --dataset")[0]: ("-m", "metapipe", *arguments)
        for arguments in (
            ("--help",),
            ("train", "--help"),
            ("runs", "list"),
            ("plugins", "list"),
            ("plugins", "show", "maml"),
            TRAIN,
        )
    },
}


class Times(NamedTuple):
    """What one process takes from start to end, in seconds."""

    clock: float
    processor: float


Measured = dict[tuple[str, Path], list[Times]]


def run(arguments: tuple[str, ...], tree: Path, project: Path) -> Times:
    """Run a command of a tree in a project's folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "plugins")]),
        "METAPIPE_CACHE": str(project / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    begun, spent = time.perf_counter(), processor()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        check=True,
    )
    return Times(time.perf_counter() - begun, processor() - spent)


def processor() -> float:
    """Seconds of the processor that all processes run so far have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(trees: list[Path], repeats: int) -> Measured:
    """Times by command and tree; the first round only warms the caches."""
    times: Measured = {}
    with tempfile.TemporaryDirectory() as folder:
        projects = {tree: Path(folder, str(i)) for i, tree in enumerate(trees)}
        for project in projects.values():
            project.mkdir()
        for repeat in range(repeats + 1):
            for name, arguments in COMMANDS.items():
                for tree, project in projects.items():
                    taken = run(arguments, tree, project)
                    if repeat:
                        times.setdefault((name, tree), []).append(taken)
    return times


def show(times: Measured, trees: list[Path], which: str) -> None:
    """Print the table of the clock's or of the processor's seconds."""
    print(f"{f'seconds, {which}':26}", *(f"{tree.name:>22}" for tree in trees))
    for name in COMMANDS:
        cells = []
        for tree in trees:
            bare = statistics.median(getattr(t, which) for t in times[BARE, tree])
            values = [getattr(t, which) for t in times[name, tree]]
            low, middle, high = (
                pick(values) - (0 if name == BARE else bare)
                for pick in (min, statistics.median, max)
            )
            cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        print(f"{name:26}", *(f"{cell:>22}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trees", nargs="*", type=Path, metavar="TREE")
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    trees = [tree.resolve() for tree in options.trees] or [HERE]
    times = measure(trees, options.repeats)
    for which in Times._fields:
        show(times, trees, which)


if __name__ == "__main__":
    main()
