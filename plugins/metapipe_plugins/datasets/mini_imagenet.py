"""mini-ImageNet, from files you have: ImageNet may not be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from metapipe import Dataset, Kind, Register, Source, Split, hookimpl
from metapipe.data import ImageEncoder
from metapipe_plugins.parts.data.augmented import Augment, augmented
from metapipe_plugins.parts.data.class_folders import ClassFolders, find_roots
from metapipe_plugins.parts.data.class_splits import (
    SPLITS,
    by_lists,
    published,
    read_lists,
)
from metapipe_plugins.parts.data.normalised import Normalise, normalised
from metapipe_plugins.parts.data.required import require_root


class MiniImageNet(Dataset):
    """100 classes of ImageNet with 600 pictures each; Ravi & Larochelle's split."""

    kind: ClassVar[Kind | None] = "classification"
    paper: ClassVar[str] = (
        "Vinyals et al., NIPS 2016, https://arxiv.org/abs/1606.04080; split of Ravi & "
        "Larochelle, ICLR 2017"
    )
    departures: ClassVar[str] = (
        "pictures are resized from whole files, where the common archive was made by "
        "another library; pixels are in [0, 1] unless normalise=train; no "
        "augmentation unless augment is given"
    )

    root: Path | None = None
    """Folder with a folder a class, named by its WordNet id (n01532829), or archives of
    such folders."""

    lists: Path | None = None
    """Folder with train, val and test as .txt (a class a line) or .csv (with a column
    `label`); if not given ROOT, if it has them, else Ravi & Larochelle's."""

    size: int = Field(default=84, ge=4, le=1024)
    """Height and width of an input, in pixels."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def check(self) -> None:
        """Root and lists are there."""
        root = require_root(
            self.root,
            "the pictures of mini-ImageNet are needed, in a folder a class",
            " (docs/data.md tells how to get them)",
        )
        read_lists(self._lists(root))

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        self.check()
        assert self.root is not None
        lists = self._lists(self.root.expanduser())
        encoder = ImageEncoder(
            height=self.size, width=self.size, channels=3, fit="stretch"
        )
        roots = find_roots(self.root, "*")
        folders = ClassFolders("mini-imagenet", roots, encoder)
        bank = folders.bank(lambda classes: by_lists(classes, lists))
        names = by_lists(bank.classes, lists)
        source = augmented(folders.source(bank, names[split]), self.augment, split)
        return normalised(
            source, self.normalise, lambda: folders.source(bank, names["train"])
        )

    def _lists(self, root: Path) -> Path:
        if self.lists is not None:
            return self.lists.expanduser()
        named = (f"{split}.{end}" for split in SPLITS for end in ("txt", "csv"))
        if any((root / name).exists() for name in named):
            return root
        return published("mini_imagenet")


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer mini-ImageNet."""
    register("mini-imagenet", MiniImageNet)
