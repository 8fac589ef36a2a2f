"""Labelled texts of your own, and Banking77: tasks over classes never seen."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from metapipe import Register, Source, Split, hookimpl
from metapipe_plugins.parts.data.class_splits import (
    Shares,
    by_chance,
    by_lists,
    read_lists,
)
from metapipe_plugins.parts.data.labelled_texts import LabelledTexts, read_texts
from metapipe_plugins.parts.data.required import require_root


class Text(LabelledTexts):
    """Texts of your own: a table with a column of texts and one of classes."""

    root: Path | None = None
    """CSV, TSV (both may be gzipped) or Parquet, or a folder of them."""

    text: str = "text"
    """Column of the texts."""

    label: str = "label"
    """Column of the classes."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a class a line; classes are split
    by chance if not given."""

    shares: Shares = (0.6, 0.15)
    """Shares of the classes to train on and to validate on; the rest are tested on."""

    def check(self) -> None:
        """Root and lists are there."""
        super().check()
        require_root(self.root, "text needs a table, or a folder of them")
        if self.lists is not None:
            read_lists(self.lists.expanduser())

    def open(self, split: Split) -> Source:
        """The texts of a split's classes."""
        self.check()
        assert self.root is not None
        texts = read_texts(self.root.expanduser(), self.text, self.label)
        lists = (
            by_lists(sorted(texts), self.lists.expanduser())
            if self.lists
            else by_chance(sorted(texts), self.split_seed, self.shares)
        )
        return self.source(texts, lists, split, self.text, self.label)


class Banking77(LabelledTexts):
    """Questions to a bank by intent: 42 intents to train on, 10 to validate, 25 to
    test; there is no official split of them."""

    paper: ClassVar[str] = (
        "Casanueva, Temcinas, Gerz, Henderson & Vulic, NLP for ConvAI 2020, "
        "https://arxiv.org/abs/2003.04807"
    )

    root: Path | None = None
    """Folder with train.csv and test.csv, gzipped or not, of PolyAI's
    task-specific-datasets."""

    def check(self) -> None:
        """The root is there."""
        super().check()
        more = " (docs/data.md tells how to get them)"
        require_root(self.root, "banking77 needs its tables", more)

    def open(self, split: Split) -> Source:
        """The questions of a split's intents; the origin's own split is by text, and
        both halves are used."""
        self.check()
        assert self.root is not None
        root = self.root.expanduser()
        texts = read_texts(root, "text", "category", ("train", "test"))
        lists = by_chance(sorted(texts), self.split_seed, (42 / 77, 10 / 77))
        return self.source(texts, lists, split, "text", "category")


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer texts, and Banking77."""
    register("text", Text)
    register("banking77", Banking77)
