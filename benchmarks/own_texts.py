"""How well texts are told apart by vectors of a sentence model: Banking77, all 77 ways.

    python benchmarks/own_texts.py DATA FOLDER [--heads logistic] [--draws 3]

DATA is the folder of data for tests, FOLDER a sentence-transformers model. From the
official training texts so many of each class are drawn, three times; all 3,080 test
texts are judged. Goes through `metapipe.embed` and `FewShotClassifier`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import metapipe

SHOTS = (5, 10)


def main() -> None:
    """Print a line for each head and number of shots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heads", nargs="+", default=["logistic"])
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    known = read(arguments.data, "train")
    queries = read(arguments.data, "test")
    wanted = [name for name, texts in queries.items() for _ in texts]
    model = {"folder": arguments.folder}
    asked = embedded([text for texts in queries.values() for text in texts], model)
    shots: dict[tuple[int, int], Any] = {}
    for draw in range(arguments.draws):
        rng = np.random.default_rng(draw)
        drawn = {
            name: rng.choice(texts, max(SHOTS), replace=False)
            for name, texts in known.items()
        }
        vectors = embedded(np.concatenate(list(drawn.values())), model)
        for count in SHOTS:
            each = vectors.reshape(len(drawn), max(SHOTS), -1)[:, :count]
            shots[draw, count] = (
                each.reshape(-1, vectors.shape[1]),
                np.repeat(list(drawn), count),
            )
    for head in arguments.heads:
        classifier = metapipe.FewShotClassifier(
            backbone="sentence-transformers", head=head, backbone_settings=model
        )
        for count in SHOTS:
            found = [
                100 * classifier.fit(*shots[draw, count]).score(asked, wanted)
                for draw in range(arguments.draws)
            ]
            mean, spread = np.mean(found), np.std(found, ddof=1)
            print(f"{head}, {count} shots: {mean:.1f} (± {spread:.1f} over draws)")


def embedded(texts: Any, model: dict[str, Any]) -> Any:
    """(n, d)."""
    return metapipe.embed(
        list(map(str, texts)), "sentence-transformers", settings=model
    )


def read(data: Path, name: str) -> dict[str, list[str]]:
    """Texts by class."""
    found = defaultdict(list)
    path = data / "banking77" / f"{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["category"]].append(row["text"])
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
