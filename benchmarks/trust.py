"""How far a classifier of a few pictures can be trusted, and whether it knows.

    python benchmarks/trust.py DATA [--backbone NAME] [--size 128] [--tasks 200]
        [--heads discriminant nearest] [--shots 2 5 20] [--validation] [--write]

DATA is the folder of data for tests (its README.md tells what they are).
`metapipe.embed` makes a vector of each picture, once; a task is drawn from the vectors
by NumPy with its number as seed, learned by a `FewShotClassifier`, and everything is
asked of that. The truth is its accuracy on `QUERIES` pictures of each class, and on as
many of as many other classes. With --write the table goes to TRUST.md.

CIFAR-FS: 200 pictures of each of the 20 test classes, or of the 16 validation classes,
with --validation. Sign digits: 100 pictures of each of 10 signs, people mixed.
"""

from __future__ import annotations

import argparse
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import metapipe

TABLE = Path(__file__).parent / "TRUST.md"
QUERIES = 40
BINS = 15
"""Of confidences, equally wide, in the calibration error."""

Vectors = Mapping[str, NDArray[np.float32]]
Floats = NDArray[np.float64]

HEADING = """\
# How far to trust it

Written by `benchmarks/trust.py`. {backbone} at {size} pixels; {tasks} tasks, seed 0,
{queries} queries of each class, each predicted alone; all in %, but sizes. {today}.
CIFAR-FS: the 20 test classes, 200 random pictures of each; sign digits: 100 of each of
10, people mixed. CIFAR's classes overlap with those that the backbone learned; signs it
has never seen. How much doubt, which odds and which score of strangers are best was
compared on other classes (LOG.md).

- *estimate*: the accuracy expected from the support alone, less the true one, on the
  mean (bias), and how large the error is; how often the 95 % interval has the true one,
  and how wide it is.
- *calibration*: mean confidence less accuracy, and the expected calibration error over
  {bins} bins of the queries of all tasks together.
- *sets* asked to hold the right class 9 times in 10: how often they do, on the mean
  over tasks, and how many classes they have.
- *strangers*, of as many other classes: AUROC of typicality; the share that is told by
  it, as measured on the own classes and in truth, on the mean over tasks; the share of
  the own that is refused with them.

| pictures, head | accuracy | estimate: bias, error | covers, width | \
calibration: bias, error | sets: cover, size | AUROC | told: measured, true | refused |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass
class Found:
    """Figures, one a task; and what is pooled."""

    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    confidence: list[Floats] = field(default_factory=list)
    right: list[Floats] = field(default_factory=list)

    def add(self, **figures: float) -> None:
        """Of one task."""
        for name, value in figures.items():
            self.figures[name].append(float(value))

    def mean(self, name: str) -> float:
        """Over tasks, in per cent; of what could not be told, not a number."""
        values = self.figures.get(name)
        return 100 * float(np.mean(values)) if values else float("nan")


def main() -> None:
    """Measure, print, and perhaps write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--heads", nargs="+", default=["discriminant", "nearest"])
    parser.add_argument("--shots", nargs="+", type=int, default=[2, 5, 20])
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--write", action="store_true", help="to TRUST.md")
    arguments = parser.parse_args()
    lines = [
        HEADING.format(
            **vars(arguments), queries=QUERIES, bins=BINS, today=date.today()
        )
    ]
    print(lines[0], end="")
    pools = {
        "CIFAR-FS": cifar(arguments.data, "val" if arguments.validation else "test"),
        "sign digits": signs(arguments.data),
    }
    for pictures, files in pools.items():
        vectors = {
            name: metapipe.embed(
                each, arguments.backbone, settings={"size": arguments.size}
            )
            for name, each in files.items()
        }
        for shots in arguments.shots:
            for head in arguments.heads:
                found = measured(vectors, head, shots, arguments)
                lines.append(f"| {pictures} 5w{shots}s {head} | {row(found)} |\n")
                print(lines[-1], end="", flush=True)
    if arguments.write:
        TABLE.write_text("".join(lines))


def row(found: Found) -> str:
    """Cells of the table."""
    m = found.mean
    sets = f"{m('held'):.1f}, {m('size') / 100:.2f}"
    return " | ".join(
        (
            f"{m('accuracy'):.1f}",
            f"{m('bias'):+.1f}, {m('error'):.1f}",
            f"{m('covers'):.1f}, {m('width'):.0f}",
            f"{m('modesty'):+.1f}, {100 * calibration_error(found):.1f}",
            sets,
            f"{m('auroc'):.1f}",
            f"{m('measured'):.0f}, {m('true'):.0f}",
            f"{m('refused'):.0f}",
        )
    )


def measured(vectors: Vectors, head: str, shots: int, arguments: Any) -> Found:
    """Figures of all tasks."""
    found = Found()
    classifier = metapipe.FewShotClassifier(
        backbone=arguments.backbone,
        head=head,
        backbone_settings={"size": arguments.size},
    )
    for number in range(arguments.tasks):
        support, query, strangers = drawn(vectors, shots, number)
        labels = np.repeat(np.arange(len(query)), QUERIES)
        classifier.fit(
            np.concatenate(support), np.repeat(np.arange(len(support)), shots)
        )
        judge(classifier, np.concatenate(query), labels, strangers, found)
    return found


def drawn(
    vectors: Vectors, shots: int, number: int, ways: int = 5
) -> tuple[list[Any], list[Any], list[Any]]:
    """Support and queries by class, and those of other classes."""
    generator = np.random.default_rng([0, number])
    names = generator.permutation(sorted(vectors))[: 2 * ways]
    of = [generator.permutation(vectors[name]) for name in names]
    support = [each[:shots] for each in of[:ways]]
    query = [each[shots : shots + QUERIES] for each in of[:ways]]
    return support, query, [each[:QUERIES] for each in of[ways:]]


def judge(
    classifier: Any,
    query: NDArray[np.float32],
    labels: NDArray[np.int64],
    strangers: Sequence[NDArray[np.float32]],
    found: Found,
) -> None:
    """What it tells of itself, and the truth."""
    probabilities = classifier.predict_proba(query)
    right = probabilities.argmax(1) == labels
    accuracy = right.mean()
    expected = classifier.expected_
    bias = expected.accuracy - accuracy
    confidence = probabilities.max(1)
    found.confidence.append(confidence)
    found.right.append(right.astype(float))
    found.add(
        accuracy=accuracy,
        bias=bias,
        error=abs(bias),
        covers=expected.low <= accuracy <= expected.high,
        width=expected.high - expected.low,
        modesty=confidence.mean() - accuracy,
    )
    if expected.count >= 9:
        sets = classifier.predict_set(query)
        held = [label in each for label, each in zip(labels, sets, strict=True)]
        found.add(held=np.mean(held), size=np.mean([len(each) for each in sets]))
    typical = classifier.adapted_.trust.typicality
    if typical is not None and strangers:
        own = classifier.typicality(query)
        theirs = classifier.typicality(np.concatenate(strangers))
        known = np.r_[np.ones(len(own)), np.zeros(len(theirs))]
        found.add(
            auroc=roc_auc_score(known, np.r_[own, theirs]),
            measured=typical.strangers.told,
            true=(theirs <= 0.1).mean(),
            refused=(own <= 0.1).mean(),
        )


def calibration_error(found: Found) -> float:
    """Mean over bins of confidence, each by its queries, of |confidence - accuracy|."""
    confidence, right = np.concatenate(found.confidence), np.concatenate(found.right)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs((confidence - right)[bins == n].sum()) for n in range(BINS)]
    return float(sum(gaps) / len(right))


def cifar(data: Path, split: str) -> dict[str, list[bytes]]:
    """Pictures by class of CIFAR-FS."""
    names = (data / "splits" / "cifar_fs" / f"{split}.txt").read_text().split()
    return dict(each(data / "cifar100_subset_evaluation.zip", names))


def signs(data: Path) -> dict[str, list[bytes]]:
    """Pictures by sign."""
    return dict(each(data / "sign_digits.zip", [str(digit) for digit in range(10)]))


def each(path: Path, classes: Sequence[str]) -> Iterator[tuple[str, list[bytes]]]:
    """The pictures of each class in an archive of folders."""
    with zipfile.ZipFile(path) as archive:
        members = sorted(n for n in archive.namelist() if not n.endswith("/"))
        for name in classes:
            mine = [m for m in members if m.split("/")[-2] == name]
            yield name, [archive.read(member) for member in mine]


if __name__ == "__main__":
    main()
