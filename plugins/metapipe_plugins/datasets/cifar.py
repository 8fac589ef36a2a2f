"""CIFAR-FS and FC100: CIFAR-100 split for few-shot learning, from files you have.

Both take a folder (or zip, or tar) with a folder a class of 32x32 pictures:
docs/data.md tells where they are. The lists of the splits are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from metapipe import Kind, Register, Source, Split, hookimpl
from metapipe.data import ImageEncoder
from metapipe_plugins.parts.data.augmented import Augment, augmented
from metapipe_plugins.parts.data.class_folders import ClassFolders, find_roots
from metapipe_plugins.parts.data.class_splits import by_lists, published, read_lists
from metapipe_plugins.parts.data.features import PictureInputs
from metapipe_plugins.parts.data.normalised import Normalise, normalised
from metapipe_plugins.parts.data.required import require_root

ENCODER = ImageEncoder(height=32, width=32, channels=3, fit="crop")


class CifarSplit(PictureInputs):
    """CIFAR-100, its classes split by lists."""

    of_pixels: ClassVar[tuple[str, ...]] = ("augment", "normalise")

    published: ClassVar[str]
    """The folder of the paper's own lists."""

    root: Path | None = None
    """Folder with a folder a class of CIFAR-100, or with archives `cifar100*.zip`."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt, a class a line; those of the paper
    if not given."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def check(self) -> None:
        """Root and lists are there."""
        require_root(
            self.root,
            "the pictures of CIFAR-100 are needed, in a folder a class",
            " (docs/data.md tells how to get them)",
        )
        read_lists(self._lists)

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        self.check()
        assert self.root is not None
        roots = find_roots(self.root, "cifar100*")
        folders = ClassFolders("cifar100", roots, ENCODER, self.features())
        bank = folders.bank(lambda classes: by_lists(classes, self._lists))
        names = by_lists(bank.classes, self._lists)
        source = augmented(folders.source(bank, names[split]), self.augment, split)
        return normalised(
            source, self.normalise, lambda: folders.source(bank, names["train"])
        )

    @property
    def _lists(self) -> Path:
        return self.lists.expanduser() if self.lists else published(self.published)


class CifarFS(CifarSplit):
    """CIFAR-100 with 64 / 16 / 20 random classes."""

    kind: ClassVar[Kind | None] = "classification"
    paper: ClassVar[str] = (
        "Bertinetto et al., ICLR 2019, https://arxiv.org/abs/1805.08136"
    )
    departures: ClassVar[str] = (
        "pixels are in [0, 1] unless normalise=train, where references subtract a "
        "mean and divide by a deviation; no augmentation unless augment is given; one "
        "picture, baby_s_000354, is in a training class (girl) and a test class "
        "(baby), as it is in CIFAR-100"
    )
    published: ClassVar[str] = "cifar_fs"


class FC100(CifarSplit):
    """CIFAR-100 with 60 / 20 / 20 classes of different superclasses."""

    kind: ClassVar[Kind | None] = "classification"
    paper: ClassVar[str] = (
        "Oreshkin, Rodriguez & Lacoste, NeurIPS 2018, https://arxiv.org/abs/1805.10123"
    )
    departures: ClassVar[str] = (
        "pixels are in [0, 1] unless normalise=train, where references subtract a "
        "mean and divide by a deviation; no augmentation unless augment is given; all "
        "pictures in the files are used"
    )
    published: ClassVar[str] = "fc100"


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer both splits."""
    register("cifar-fs", CifarFS)
    register("fc100", FC100)
