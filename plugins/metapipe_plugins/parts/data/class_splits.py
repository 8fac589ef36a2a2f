"""Classes split in three: by name, by lists, or by chance."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from metapipe import DataError, PathError, Split
from metapipe.data import choose, first_few, normal_name, read_file, read_rows


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
    """The split that folders called train, val and test make; None without them.
    Raises DataError for a class that is in two of the folders."""
    paths = [name.partition("/") for name in classes]
    if not all(below and top.lower() in NAMED for top, _, below in paths):
        return None
    tops: dict[str, list[str]] = defaultdict(list)
    for top, _, label in paths:
        tops[label].append(top)
    twice = [f"'{n}' ({', '.join(found)})" for n, found in tops.items() if found[1:]]
    if twice:
        raise DataError(
            f"classes are in more than one folder of a split: {first_few(twice)}. "
            "Splits are of classes, for tasks are of classes never seen: "
            "-s dataset.split=random puts the folders together and splits the classes"
        )
    return {
        split: [n for n in classes if NAMED[n.split("/")[0].lower()] == split]
        for split in SPLITS
    }


def published(name: str) -> Path:
    """The folder of a published split's lists, which come with the plugins."""
    return Path(__file__).parents[2] / "splits" / name


def read_lists(folder: Path) -> Lists:
    """Of train.txt, val.txt and test.txt (a class a line), or .csv with `label`; the
    folder is `dataset.lists`. Raises PathError if they are not there."""
    if not folder.is_dir():
        raise PathError(
            f"dataset.lists = '{folder}' is no folder: it has train.txt, val.txt and "
            "test.txt, with a class a line"
        )
    return {split: _list(folder, split) for split in SPLITS}


def by_lists(classes: Sequence[str], folder: Path) -> Lists:
    """The split that the lists in a folder make. Raises DataError for a class that is
    not there, or is listed twice."""
    lists = read_lists(folder)
    seen: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if name not in classes:
                raise DataError(
                    f"{folder} lists '{name}' for {split}, which is none of the "
                    f"{len(classes)} classes found{_hint(name, classes)}"
                )
            if name in seen:
                twice = f"{seen[name]} and {split}"
                where = f"{split} twice" if seen[name] == split else twice
                raise DataError(f"{folder} has '{name}' in {where}")
            seen[name] = split
    return lists


def _hint(name: str, classes: Sequence[str]) -> str:
    """The nearest class, if one is near."""
    folded = {label.casefold(): label for label in classes}
    near = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""


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


def read_list(path: Path) -> list[str]:
    """The lines of a list, but blank ones, as normal names. Raises PathError for one
    that is not there, and DataError for what is no text."""
    try:
        content = read_file(path)
        # Windows' Notepad marks both UTF-16 and UTF-8.
        wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        lines = content.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except OSError as error:
        raise PathError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    return [name for line in lines if (name := normal_name(line))]


def _list(folder: Path, split: str) -> list[str]:
    """The classes of a split: of a table, which may have a row an item, each once."""
    lines, table = folder / f"{split}.txt", folder / f"{split}.csv"
    if lines.exists():
        return read_list(lines)
    if table.exists():
        rows = read_rows(table, ("label",), ("label",))
        return sorted({normal_name(row["label"]) for row in rows})
    raise PathError(
        f"cannot read the classes of {split}: dataset.lists = '{folder}' needs "
        f"{split}.txt with a class a line, or {split}.csv with a column 'label'"
    )
