"""How long commands take to start: seconds over a Python that does nothing.

    python benchmarks/startup.py [--repeats N] [TREE ...]

Each TREE is a checkout, this one if none is given; two are compared in one table. Every
command runs N times, all commands and trees by turns, so that what else the machine
does falls on all of them; the cache is warm, as it is from the second time on. Prints
the median and, in brackets, the least and the most. What a bare `python -c pass` takes
in the median, which is the first line, is taken off all others.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TRAIN = (
    *("train", "--dataset", "digits", "--model", "mlp", "--iterations", "1"),
    *("--mapping", "loop", "--validate-every", "0", "-s", "evaluation.episodes=5"),
)
"""A training that is over as soon as it has started."""

COMMANDS = {
    "python -c pass": ("-c", "pass"),
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


def seconds(arguments: tuple[str, ...], tree: Path, project: Path) -> float:
    """What one process takes from start to end."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "plugins")]),
        "METAPIPE_CACHE": str(project / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - begun


def measure(trees: list[Path], repeats: int) -> dict[tuple[str, Path], list[float]]:
    """Seconds by command and tree; the first round only warms the caches."""
    times: dict[tuple[str, Path], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        projects = {tree: Path(folder, str(i)) for i, tree in enumerate(trees)}
        for project in projects.values():
            project.mkdir()
        for repeat in range(repeats + 1):
            for name, arguments in COMMANDS.items():
                for tree, project in projects.items():
                    taken = seconds(arguments, tree, project)
                    if repeat:
                        times.setdefault((name, tree), []).append(taken)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trees", nargs="*", type=Path, metavar="TREE")
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    trees = [tree.resolve() for tree in options.trees] or [HERE]
    times = measure(trees, options.repeats)
    print(f"{'seconds':26}", *(f"{tree.name:>22}" for tree in trees))
    for name in COMMANDS:
        cells = []
        for tree in trees:
            bare = statistics.median(times["python -c pass", tree])
            off = 0 if name == "python -c pass" else bare
            low, middle, high = (
                pick(times[name, tree]) - off for pick in (min, statistics.median, max)
            )
            cells.append(f"{middle:6.3f} [{low:.3f}, {high:.3f}]")
        print(f"{name:26}", *(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
