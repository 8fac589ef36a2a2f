"""Pictures in a folder a class, as a bank with its classes split in three."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from metapipe import DataError, Encoder, PathError, Source
from metapipe.data import (
    Bank,
    Bytes,
    FeatureSource,
    File,
    ImageClass,
    ImageEncoder,
    ImageSource,
    Labelled,
    digest,
    feature_item,
    first_few,
    how_many,
    identity,
    is_archive,
    is_leftover,
    labelled,
    open_bank,
    picture_suffixes,
    walk,
)
from metapipe_plugins.parts.data.class_splits import NAMED

Unreadable = Literal["error", "skip"]

Place = tuple[str, str]
"""The name of a picture in its class, and where it is."""

SECONDS = 10
"""Between two lines that tell how far the reading is."""

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class ClassFolders:
    """Roots with a folder a class, and what their pictures become."""

    name: str
    roots: tuple[Path, ...]
    encoder: ImageEncoder
    features: Encoder | None = None
    """What makes vectors of the pictures, if they are not the inputs themselves."""

    unreadable: Unreadable = "error"
    by_split: bool = False
    """Whether `train/rose` and `test/rose` are two classes, or both `rose`."""

    def bank(self, check: Callable[[Sequence[str]], object] | None = None) -> Bank:
        """All pictures; classes are `CLASS`, or `SPLIT/CLASS` with `by_split`. Before
        any picture is read, `check` is asked whether these classes will do."""
        made_from = {
            "files": [identity(root) for root in self.roots],
            "encoder": self.encoder.model_dump(exclude={"moments"}),  # not in the bank
            "unreadable": self.unreadable,
            "by_split": self.by_split,
        }
        if self.features is not None:
            self.features.check()
            made_from["encoder"] = self.features.model_dump(mode="json")
        return open_bank(self.name, made_from, lambda: self._build(check))

    def source(self, bank: Bank, names: Sequence[str]) -> Source:
        """Episodes of the classes with these names."""
        index = {name: number for number, name in enumerate(bank.classes)}
        members = tuple(ImageClass(index[name]) for name in names)
        if self.features is not None:
            return FeatureSource(bank, members, encoder=self.features)
        return ImageSource(bank, members, encoder=self.encoder)

    def _item(self, file: File) -> Bytes:
        """Its pixels, or its vector. Raises DataError, with its name."""
        if self.features is None:
            return self.encoder.pixels(file.read(), file.origin)
        content = file.read()
        try:
            return feature_item(self.features, content)
        except DataError as error:
            text = str(error).replace("the image", file.origin)
            raise DataError(text) from error

    def _build(
        self, check: Callable[[Sequence[str]], object] | None
    ) -> Iterator[tuple[str, Bytes]]:
        classes: dict[str, dict[Place, Bytes]] = defaultdict(dict)
        broken: list[str] = []
        roots = [self._found(root) for root in self.roots]
        names = {self._class(label) for found in roots for label, _, _ in found}
        if check and names:
            check(sorted(names))
        for found in roots:
            told = time.monotonic()
            for number, (label, name, file) in enumerate(found):
                if time.monotonic() > told + SECONDS:
                    told = time.monotonic()
                    logger.info("read %d of %d in %s", number, found.count, found.root)
                try:
                    item = self._item(file)
                except DataError as error:
                    broken.append(str(error).removeprefix("cannot read "))
                    continue
                classes[self._class(label)][name, file.origin] = item
        self._report(broken)
        if not classes:
            raise DataError(
                f"{self.roots[0]} has no pictures: a folder a class is wanted, as in "
                "ROOT/rose/1.jpg"
            )
        _report_duplicates(classes)
        for label in sorted(classes):
            files = classes[label]
            yield label, np.stack([files[place] for place in sorted(files)])

    def _class(self, label: str) -> str:
        return label if self.by_split else label.rpartition("/")[2]

    def _found(self, root: Path) -> Labelled:
        found = labelled(root, picture_suffixes(), NAMED)
        if found.beside and self.by_split:
            raise DataError(
                f"{root} has {first_few(found.beside)} beside folders of splits: move "
                "it away, or take all of them for classes with -s dataset.split=random"
            )
        if found.unclear:
            logger.warning("%s has one class only: %s", root, found.unclear)
        if found.without:
            text = "%s has folders without a picture of a known format: %s"
            logger.warning(text, root, first_few(found.without))
        return found

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
    """The folder or archive itself, or those of its archives that match a pattern.

    Raises PathError for a root that is not there, and DataError for one in which both
    archives and folders may be the classes.
    """
    root = root.expanduser()
    if root.is_dir():
        found = sorted(path for path in root.glob(archives) if is_archive(path))
        if found and archives == "*":
            _require_only(root, found)
        if found:
            return tuple(found)
    if not root.exists():
        raise PathError(
            f"dataset.root = '{root}' does not exist: give a folder that has a folder "
            "a class, or a zip or tar of it"
        )
    return (root,)


def _require_only(root: Path, archives: Sequence[Path]) -> None:
    """Refuse folders with pictures beside archives."""
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and not is_leftover(folder.name):
            for file in walk(folder, picture_suffixes()):
                raise DataError(
                    f"{root} has both archives ({archives[0].name}) and folders with "
                    f"pictures ({file.origin}): move one kind away"
                )


def _report_duplicates(classes: Mapping[str, Mapping[Place, Bytes]]) -> None:
    """Pictures that are there more than once: in two classes, and so perhaps in two
    splits; or in one class, and so perhaps in both sets of an episode."""
    owners: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for label, files in classes.items():
        for (name, _), pixels in files.items():
            owners[digest(pixels)].append((label, name))
    several = [found for found in owners.values() if len(found) > 1]
    within = [found for found in several if len({label for label, _ in found}) == 1]
    across = [found for found in several if found not in within]
    for found, where in (
        (across, "in several classes"),
        (within, "more than once in a class"),
    ):
        if found:
            names = [" = ".join(map("/".join, places)) for places in found]
            many = how_many(len(found), "picture", "are")
            logger.warning("%s %s: %s", many, where, first_few(names))
