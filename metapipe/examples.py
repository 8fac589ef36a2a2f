"""Examples of a user's new task: files in a folder a class, or rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .contracts import Encoder
from .episode import Samples
from .errors import DataError, UsageError, did_you_mean
from .folders import File, is_archive, prefix_of, walk

SHOWN = 5
"""How many broken files a message names."""


@dataclass(frozen=True)
class Examples:
    """Labelled examples of one task, as inputs."""

    samples: Samples
    classes: tuple[str, ...]
    """Names by label."""

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each class."""
        sizes = torch.bincount(self.samples.targets, minlength=len(self.classes))
        return dict(zip(self.classes, sizes.tolist(), strict=True))


def suffixes() -> tuple[str, ...]:
    """Of the files that may be pictures."""
    return tuple(Image.registered_extensions())


def read_examples(
    root: Path, encoder: Encoder, classes: Sequence[str] | None = None
) -> Examples:
    """Pictures in a folder a class (or a zip or tar of that).

    With `classes` the labels are theirs, and other folders are an error. Raises
    DataError if nothing is there or files cannot be read, naming them.
    """
    paths = [file.parts for file in walk(root, suffixes())]
    skip = prefix_of(paths)
    named = [path for path in paths if len(path) > skip + 1]
    found = sorted({path[skip] for path in named})
    if not found:
        raise DataError(
            f"{root} has no pictures in folders: a folder a class is wanted, as in "
            f"{root}/rose/1.jpg"
        )
    known = list(found if classes is None else classes)
    for name in found:
        if name not in known:
            raise DataError(
                f"{root} has a folder '{name}', which is no class of the support set; "
                f"{did_you_mean(name, known)}"
            )
    rows, broken = [], []
    for file in walk(root, suffixes()):
        if len(file.parts) <= skip + 1:
            continue
        try:
            inputs = encoder.encode([file.read()])
        except DataError as error:
            broken.append(f"{file.origin} ({error})")
            continue
        rows.append((known.index(file.parts[skip]), file.parts, inputs))
    if broken:
        more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise DataError(f"unreadable: {'; '.join(broken[:SHOWN])}{more}")
    rows.sort(key=lambda row: row[:2])
    labels = torch.tensor([label for label, _, _ in rows])
    inputs = torch.cat([inputs for _, _, inputs in rows])
    return Examples(Samples(inputs, labels), tuple(known))


def each_file(paths: Sequence[Path]) -> Iterator[File]:
    """The files named, and all pictures in the folders and archives named, one after
    the other. A file that is not there is an error when it is read."""
    for path in paths:
        if path.is_dir() or (path.is_file() and is_archive(path)):
            for file in walk(path, suffixes()):
                yield File(file.parts, file.origin, file.read)
        else:
            yield File((path.name,), str(path), _reader(path))


def require_ways(examples: Examples, root: Path) -> None:
    """Raise UsageError for a support set that is no task."""
    empty = [name for name, count in examples.counts.items() if not count]
    if empty:
        raise UsageError(f"{root} has no examples of {empty[0]}")
    if len(examples.classes) < 2:
        raise UsageError(
            f"{root} has one class only, '{examples.classes[0]}': two are the least"
        )


def _reader(path: Path) -> Any:
    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error

    return read
