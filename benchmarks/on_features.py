"""Meta-training on the vectors of a frozen network, beside the vectors as they are.

    python benchmarks/on_features.py DATA [--omniglot-size 96] [--cifar-size 64]
        [--only omniglot] [--seeds 3] [--write]

DATA is the folder of data for tests (its README.md tells what they are). Whole Omniglot
(the split of MAML, not turned) and whole CIFAR-FS pass the backbone once, some five
minutes of a processor, and are cached. Then a prototypical network with the model
residual-mlp, which begins as the identity, is trained for each seed, and the best
checkpoint by validation is tested. Frozen is the same after one step of almost no
length. With --write the table goes to ON_FEATURES.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import metapipe

TABLE = Path(__file__).parent / "ON_FEATURES.md"
BACKBONE = "efficientnet-lite0"
SHOTS = (1, 5)
TRAINED = {
    "ways": 10,
    "shots": 1,
    "queries": 10,
    "tasks": 4,
    "iterations": 200,
    "validate_every": 50,
}
RATES = {"omniglot": 0.001, "cifar-fs": 0.0003}
"""Step sizes, the first that were tried."""

FROZEN = {**TRAINED, "iterations": 1, "validate_every": 0, "lr": 1e-9}
VALIDATION = 200
"""Episodes."""

HEADING = """\
# Training on the vectors of a backbone

Written by `benchmarks/on_features.py`. {backbone} at {omniglot_size} pixels (Omniglot)
and {cifar_size} (CIFAR-FS, whose classes overlap with those that it learned); the split
of MAML, not turned, and the 64 / 16 / 20 classes of 600 pictures; `protonet` with
`residual-mlp`, 200 iterations of 4 tasks, 10-way 1-shot, `lr` 0.001 and 0.0003, best
checkpoint by validation. Accuracy of 5-way tasks in %, {episodes} test episodes of 15
queries a class, other ones for each seed; means over {seeds} seeds, with the lowest and
the highest. Seconds are the processor's, for training, validation and the run's test.

| data | shots | frozen | trained | seconds |
| --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Measure, print, and perhaps write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--omniglot-size", type=int, default=96)
    parser.add_argument("--cifar-size", type=int, default=64)
    parser.add_argument("--only", choices=[*RATES], help="one of the data sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--write", action="store_true", help="to ON_FEATURES.md")
    arguments = parser.parse_args()
    lines = [HEADING.format(backbone=BACKBONE, **vars(arguments))]
    print(lines[0], end="")
    with tempfile.TemporaryDirectory() as project:
        for line in rows(arguments, project):
            lines.append(line)
            print(line, end="", flush=True)
    if arguments.write:
        TABLE.write_text("".join(lines))


def rows(arguments: argparse.Namespace, project: str) -> Iterator[str]:
    """Of the table."""
    sizes = {"omniglot": arguments.omniglot_size, "cifar-fs": arguments.cifar_size}
    upright = {"dataset.rotations": "none", "dataset.test_rotations": "none"}
    places = {
        "omniglot": {"dataset.root": arguments.data / "omniglot.zip", **upright},
        "cifar-fs": {"dataset.root": arguments.data / "cifar100"},
    }
    for dataset in [arguments.only] if arguments.only else [*RATES]:
        settings = {
            **places[dataset],
            "dataset.inputs": "features",
            "dataset.backbone": BACKBONE,
            "evaluation.episodes": 20,  # the test that counts comes after
            "dataset.backbone_settings": {"size": sizes[dataset]},
        }
        asked = {"dataset": dataset, "settings": settings, "project": project}
        frozen, trained, seconds = [], [], []
        for seed in range(arguments.seeds):
            frozen.append(figures(seed, arguments.episodes, **asked, **FROZEN)[0])
            found = figures(
                seed,
                arguments.episodes,
                **asked,
                **TRAINED,
                lr=RATES[dataset],
                validation_episodes=VALIDATION,
            )
            trained.append(found[0])
            seconds.append(found[1])
        for number, shots in enumerate(SHOTS):
            both = [[each[number] for each in runs] for runs in (frozen, trained)]
            cells = " | ".join(map(over, both))
            took = f"{fmean(seconds):.0f}" if not number else ""
            yield f"| {dataset} | {shots} | {cells} | {took} |\n"


def figures(seed: int, episodes: int, **asked: Any) -> tuple[list[float], float]:
    """Test accuracy of 5-way tasks, by `SHOTS`, of one training; and what that took."""
    begun = time.process_time()
    run = metapipe.train(
        plugin="protonet", model="residual-mlp", seed=seed, progress=False, **asked
    )
    seconds = time.process_time() - begun
    return [
        100
        * metapipe.evaluate(
            run.run_id,
            ways=5,
            shots=shots,
            queries=15,
            episodes=episodes,
            seed=seed,
            project=asked["project"],
            progress=False,
        ).accuracy
        for shots in SHOTS
    ], seconds


def over(values: list[float]) -> str:
    """The mean over seeds, and between what they lie."""
    return f"{fmean(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


if __name__ == "__main__":
    main()
