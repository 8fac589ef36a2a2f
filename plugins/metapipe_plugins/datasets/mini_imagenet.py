"""mini-ImageNet, from files you have: ImageNet may not be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from metapipe import Dataset, PathError, Register, Source, Split, hookimpl
from metapipe.data import ImageEncoder
from metapipe_plugins.parts.data.augmented import Augment, augmented
from metapipe_plugins.parts.data.class_folders import ClassFolders, find_roots
from metapipe_plugins.parts.data.class_splits import by_lists
from metapipe_plugins.parts.data.normalised import Normalise, normalised


class MiniImageNet(Dataset):
    """100 classes of ImageNet with 600 pictures each; Ravi & Larochelle's split."""

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
    `label`); ROOT if not given."""

    size: int = Field(default=84, ge=4, le=1024)
    """Height and width of an input, in pixels."""

    augment: Augment = "none"

    normalise: Normalise = "none"

    def open(self, split: Split) -> Source:
        """The pictures of a split's classes."""
        if self.root is None:
            raise PathError(
                "mini-imagenet needs its pictures in a folder a class: "
                "-s dataset.root=PATH (docs/data.md tells how to get them)"
            )
        encoder = ImageEncoder(
            height=self.size, width=self.size, channels=3, fit="stretch"
        )
        roots = find_roots(self.root, "*")
        folders = ClassFolders("mini-imagenet", roots, encoder)
        bank = folders.bank()
        lists = (self.lists or self.root).expanduser()
        names = by_lists(bank.classes, lists)
        source = augmented(folders.source(bank, names[split]), self.augment, split)
        return normalised(
            source, self.normalise, lambda: folders.source(bank, names["train"])
        )


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer mini-ImageNet."""
    register("mini-imagenet", MiniImageNet)
