"""Classes split in three: by name, by lists, or by chance."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from metapipe import DataError, Split
from metapipe.data import choose


def _at_most_all(shares: tuple[float, float]) -> tuple[float, float]:
    if sum(shares) > 1:
        raise ValueError("shares are more than 1 together")
    return shares


Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_at_most_all)]
"""Of the classes to train on and to validate on."""

Lists = Mapping[Split, Sequence[str]]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
NAMED: Mapping[str, Split] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Names of folders that are splits."""


def by_folders(classes: Sequence[str]) -> Lists | None:
    """The split that folders called train, val and test make; None without them."""
    tops = [name.split("/")[0].lower() for name in classes if "/" in name]
    if len(tops) < len(classes) or not set(tops) <= set(NAMED):
        return None
    return {
        split: [n for n in classes if NAMED[n.split("/")[0].lower()] == split]
        for split in SPLITS
    }


def by_lists(classes: Sequence[str], folder: Path) -> Lists:
    """Of train.txt, val.txt and test.txt (a class a line), or .csv with `label`."""
    lists: dict[Split, list[str]] = {split: _list(folder, split) for split in SPLITS}
    seen: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if name not in classes:
                raise DataError(
                    f"{folder} lists '{name}' for {split}, which is none of the "
                    f"{len(classes)} classes found"
                )
            if seen.setdefault(name, split) != split:
                raise DataError(f"{folder} has '{name}' in {seen[name]} and {split}")
    return lists


def by_chance(
    classes: Sequence[str], seed: int, fractions: tuple[float, float]
) -> Lists:
    """Classes shuffled by a seed: shares for training and validation, then the rest."""
    count = len(classes)
    order = choose(np.array([seed], np.uint64), "class split", count, count)[0]
    first = round(fractions[0] * count)
    second = first + round(fractions[1] * count)
    names = [classes[i] for i in order.tolist()]
    return {
        "train": sorted(names[:first]),
        "val": sorted(names[first:second]),
        "test": sorted(names[second:]),
    }


def _list(folder: Path, split: str) -> list[str]:
    text, table = folder / f"{split}.txt", folder / f"{split}.csv"
    try:
        if table.exists() and not text.exists():
            with table.open(newline="", encoding="utf-8") as file:
                return sorted({row["label"] for row in csv.DictReader(file)})
        lines = text.read_text(encoding="utf-8").splitlines()
    except (OSError, KeyError) as error:
        raise DataError(
            f"cannot read the classes of {split}: {folder} needs {split}.txt with a "
            f"class a line, or {split}.csv with a column 'label' ({error})"
        ) from error
    return [line.strip() for line in lines if line.strip()]
