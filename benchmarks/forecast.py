"""What `train --dry-run` says a training will take, beside what it takes.

    python benchmarks/forecast.py [--tasks 8]

Each forecast and each training is a process of its own; of the training it is the peak
of resident memory, with its final test. On a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

FIVE = ("--plugin", "maml", "-s", "algorithm.inner_steps=5", "--queries", "15")
SETUPS = {
    "maml, 5 steps, loop": (*FIVE, "--mapping", "loop"),
    "maml, 5 steps, vmap": (*FIVE, "--mapping", "vmap"),
    "protonet": ("--plugin", "protonet", "--queries", "15", "--mapping", "loop"),
}
COMMON = (
    *("train", "--iterations", "3", "--validate-every", "0", "--device", "cpu"),
    *("-s", "evaluation.episodes=32"),
)


def main() -> None:
    """Print a line a setup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=8)
    asked = parser.parse_args()
    for name, setup in SETUPS.items():
        options = (*COMMON, *setup, "--tasks", str(asked.tasks))
        text, _ = done(*options, "--dry-run", "--json")
        (need,) = json.loads(text)["memory"]["needs"]
        _, real = done(*options)
        said = need["total"]
        print(
            f"{name}: {said / 2**20:.0f} MiB said, {real / 2**20:.0f} taken, "
            f"{said / real:.2f}",
            flush=True,
        )


def done(*options: str) -> tuple[str, int]:
    """What a command says, and the bytes it took at most."""
    command = [sys.executable, "-m", "metapipe", *options]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return text.decode(), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
