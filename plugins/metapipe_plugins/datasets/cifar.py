"""CIFAR-FS and FC100: CIFAR-100 split for few-shot learning, from files you have.

Both take a folder (or zip, or tar) with a folder a class of 32x32 pictures, and the
lists of the split, which the papers' authors publish: docs/data.md tells where.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from metapipe import Dataset, PathError, Register, Source, Split, hookimpl
from metapipe.data import ImageEncoder, ImageSource
from metapipe_plugins.parts.data.augmented import Augment, augmented
from metapipe_plugins.parts.data.class_folders import ClassFolders, find_roots
from metapipe_plugins.parts.data.class_splits import by_lists
from metapipe_plugins.parts.data.normalised import Normalise, normalised

ENCODER = ImageEncoder(height=32, width=32, channels=3, fit="crop")


class CifarFS(Dataset):
    """CIFAR-100 with 64 / 16 / 20 random classes."""

    paper: ClassVar[str] = (
        "Bertinetto et al., ICLR 2019, https://arxiv.org/abs/1805.08136"
    )
    departures: ClassVar[str] = (
        "pixels are in [0, 1] unless normalise=train, where references subtract a "
        "mean and divide by a deviation; no augmentation unless augment is given; one "
        "picture, baby_s_000354, is in a training class (girl) and a test class "
        "(baby), as it is in CIFAR-100"
    )

    root: Path | None = None
    """Folder with a folder a class of CIFAR-100, or with archives `cifar100*.zip`."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt; ROOT/splits/cifar_fs by default."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        folders = _Folders("cifar-fs", "cifar_fs", self.root, self.lists)
        source = augmented(folders.open(split), self.augment, split)
        return normalised(source, self.normalise, lambda: folders.open("train"))


class FC100(Dataset):
    """CIFAR-100 with 60 / 20 / 20 classes of different superclasses."""

    paper: ClassVar[str] = (
        "Oreshkin, Rodriguez & Lacoste, NeurIPS 2018, https://arxiv.org/abs/1805.10123"
    )
    departures: ClassVar[str] = (
        "pixels are in [0, 1] unless normalise=train, where references subtract a "
        "mean and divide by a deviation; no augmentation unless augment is given; all "
        "pictures in the files are used"
    )

    root: Path | None = None
    """Folder with a folder a class of CIFAR-100, or with archives `cifar100*.zip`."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt; ROOT/splits/fc100 by default."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        folders = _Folders("fc100", "fc100", self.root, self.lists)
        source = augmented(folders.open(split), self.augment, split)
        return normalised(source, self.normalise, lambda: folders.open("train"))


@dataclass(frozen=True)
class _Folders:
    """Pictures of CIFAR-100, split by the lists of a data set."""

    name: str
    folder: str
    root: Path | None
    lists: Path | None

    def open(self, split: Split) -> ImageSource:
        if self.root is None:
            raise PathError(
                f"{self.name} needs the pictures of CIFAR-100 in a folder a class: "
                "-s dataset.root=PATH (docs/data.md tells how to get them)"
            )
        folders = ClassFolders("cifar100", find_roots(self.root, "cifar100*"), ENCODER)
        bank = folders.bank()
        lists = self.lists or self.root.expanduser() / "splits" / self.folder
        return folders.source(bank, by_lists(bank.classes, lists.expanduser())[split])


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer both splits."""
    register("cifar-fs", CifarFS)
    register("fc100", FC100)
