"""Your own pictures: a folder a class, or a zip or tar of that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt

from metapipe import (
    DataError,
    PathError,
    Register,
    SettingError,
    Source,
    Split,
    hookimpl,
)
from metapipe.data import Fit, ImageEncoder
from metapipe_plugins.parts.data.augmented import Augment, augmented
from metapipe_plugins.parts.data.class_folders import (
    ClassFolders,
    Unreadable,
    find_roots,
)
from metapipe_plugins.parts.data.class_splits import (
    Lists,
    Shares,
    by_chance,
    by_folders,
    by_lists,
    read_lists,
)
from metapipe_plugins.parts.data.features import PictureInputs
from metapipe_plugins.parts.data.normalised import Normalise, normalised
from metapipe_plugins.parts.data.required import require_root

NEEDS = (
    "image-folder needs the folder of the pictures, with a folder a class, or a zip or "
    "tar of it"
)


class ImageFolder(PictureInputs):
    """Pictures of your own: a folder a class; the classes are split by seed, by lists,
    or by folders train, val and test."""

    of_pixels: ClassVar[tuple[str, ...]] = (
        *("size", "colour", "fit", "invert", "augment", "normalise"),
    )

    root: Path | None = None
    """Folder with a folder a class, as ROOT/rose/1.jpg, or a zip or tar of it; a folder
    that has only archives is read as all of them together."""

    split: Literal["auto", "folders", "lists", "random"] = "auto"
    """By lists; by folders train, val and test; by chance; auto takes the first of
    these that is there. By lists or chance, `train/rose` and `test/rose` are one
    class."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a class a line."""

    split_seed: NonNegativeInt = 0
    """Seed of the random split."""

    shares: Shares = (0.6, 0.2)
    """Shares of the classes to train on and to validate on; the rest are tested on."""

    size: int = Field(default=84, ge=4, le=1024)
    """Height and width of an input, in pixels."""

    colour: bool = True
    """Three channels; one if not."""

    fit: Fit = "crop"
    """What is done to other aspect ratios: cut out the middle, stretch, or pad."""

    invert: bool = False
    """Make dark ink on paper bright on dark."""

    unreadable: Unreadable = "error"
    """Whether pictures that cannot be read end the run, or are named and left out."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def check(self) -> None:
        """Root and lists are there."""
        require_root(self.root, NEEDS)
        if self._by == "lists":
            if self.lists is None:
                raise PathError(
                    "dataset.split = 'lists' needs their folder: -s dataset.lists=PATH"
                )
            read_lists(self.lists.expanduser())

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        self.check()
        assert self.root is not None
        folders = ClassFolders(
            "image-folder",
            find_roots(self.root, "*"),
            ImageEncoder(
                height=self.size,
                width=self.size,
                channels=3 if self.colour else 1,
                fit=self.fit,
                invert=self.invert,
            ),
            self.features(),
            self.unreadable,
            by_split=self._by == "folders",
        )
        bank = folders.bank(self._lists)
        lists = self._lists(bank.classes)
        names = lists[split]
        if not names:
            raise DataError(
                f"the split leaves none of the {len(bank.classes)} classes of "
                f"{self.root} for {split}: give -s dataset.lists=FOLDER, or other "
                "-s dataset.shares"
            )
        source = augmented(folders.source(bank, names), self.augment, split)
        return normalised(
            source, self.normalise, lambda: folders.source(bank, lists["train"])
        )

    @property
    def _by(self) -> str:
        """What the classes are split by; "folders" if those are there."""
        if self.split == "auto":
            return "folders" if self.lists is None else "lists"
        if self.lists is not None and self.split != "lists":
            raise SettingError(
                f"dataset.lists is given, and dataset.split = '{self.split}' does not "
                "use it: leave one of them out"
            )
        return self.split

    def _lists(self, classes: Sequence[str]) -> Lists:
        if self._by == "folders" and (lists := by_folders(classes)):
            return lists
        if self.split == "folders":
            raise DataError(
                f"{self.root} has no folders train, val and test that have a folder a "
                "class"
            )
        if self.lists is not None:
            return by_lists(classes, self.lists.expanduser())
        return by_chance(classes, self.split_seed, self.shares)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer folders of pictures."""
    register("image-folder", ImageFolder)
