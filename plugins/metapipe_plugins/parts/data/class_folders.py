"""Pictures in a folder a class, as a bank with its classes split in three."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from metapipe import DataError
from metapipe.data import (
    Bank,
    Bytes,
    ImageClass,
    ImageEncoder,
    ImageSource,
    digest,
    first_few,
    identity,
    is_archive,
    labelled,
    open_bank,
    picture_suffixes,
    without_pictures,
)
from metapipe_plugins.parts.data.class_splits import NAMED

SHOWN = 5
"""How many examples a message names."""

Unreadable = Literal["error", "skip"]

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class ClassFolders:
    """Roots with a folder a class, and what their pictures become."""

    name: str
    roots: tuple[Path, ...]
    encoder: ImageEncoder
    unreadable: Unreadable = "error"

    def bank(self) -> Bank:
        """All pictures; classes are `CLASS`, or `SPLIT/CLASS` below split folders."""
        made_from = {
            "files": [identity(root) for root in self.roots],
            "encoder": self.encoder.model_dump(),
            "unreadable": self.unreadable,
        }
        return open_bank(self.name, made_from, self._build)

    def source(self, bank: Bank, names: Sequence[str]) -> ImageSource:
        """Episodes of the classes with these names."""
        index = {name: number for number, name in enumerate(bank.classes)}
        members = tuple(ImageClass(index[name]) for name in names)
        return ImageSource(bank, members, encoder=self.encoder)

    def _build(self) -> Iterator[tuple[str, Bytes]]:
        classes: dict[str, dict[str, Bytes]] = defaultdict(dict)
        broken: list[str] = []
        for root in self.roots:
            for label, name, file in labelled(root, picture_suffixes(), NAMED):
                try:
                    pixels = self.encoder.pixels(file.read(), file.origin)
                except DataError as error:
                    broken.append(str(error).removeprefix("cannot read "))
                    continue
                classes[label][name] = pixels
            if others := without_pictures(root, picture_suffixes(), NAMED):
                text = (
                    f"folders without a picture of a known format: {first_few(others)}"
                )
                logger.warning("%s has %s", root, text)
        self._report(broken)
        if not classes:
            raise DataError(
                f"{self.roots[0]} has no pictures: a folder a class is wanted, as in "
                "ROOT/rose/1.jpg"
            )
        _report_duplicates(classes)
        for label in sorted(classes):
            files = classes[label]
            yield label, np.stack([files[name] for name in sorted(files)])

    def _report(self, broken: list[str]) -> None:
        if not broken:
            return
        text = f"{len(broken)} unreadable: {first_few(broken)}"
        if self.unreadable == "error":
            raise DataError(
                f"{text}. Mend or remove them, or leave them out with "
                "-s dataset.unreadable=skip"
            )
        logger.warning("left out %s", text)


def find_roots(root: Path, archives: str) -> tuple[Path, ...]:
    """The folder or archive itself, or those of its archives that match a pattern."""
    root = root.expanduser()
    if root.is_dir():
        found = sorted(path for path in root.glob(archives) if is_archive(path))
        if found:
            return tuple(found)
    if not root.exists():
        raise DataError(
            f"dataset.root = '{root}' does not exist: give a folder that has a folder "
            "a class, or a zip or tar of it"
        )
    return (root,)


def _report_duplicates(classes: Mapping[str, Mapping[str, Bytes]]) -> None:
    """Pictures that are in more than one class, and so perhaps in two splits."""
    owners: dict[bytes, dict[str, str]] = defaultdict(dict)
    for label, files in classes.items():
        for name, pixels in files.items():
            owners[digest(pixels)].setdefault(label, f"{label}/{name}")
    shared = [list(found.values()) for found in owners.values() if len(found) > 1]
    if shared:
        examples = "; ".join(" = ".join(names) for names in shared[:SHOWN])
        logger.warning("%d pictures are in several classes: %s", len(shared), examples)
