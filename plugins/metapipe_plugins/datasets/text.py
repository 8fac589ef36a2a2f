"""Labelled texts of your own, and Banking77: tasks over classes never seen."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from metapipe import DataError, Dataset, Encoder, Register, Split, hookimpl
from metapipe.arrays import ArraySource
from metapipe.rows import find_tables, read_rows
from metapipe.texts import TextEncoder, TfidfEncoder
from metapipe_plugins.parts.class_splits import Lists, by_chance, by_lists

SHOWN = 3
RECOMMENDED = {"run.model": "ngrams", "model.dropout": 0.6}
Share = Annotated[float, Field(ge=0, le=1)]
Inputs = Literal["ngrams", "tfidf"]
logger = logging.getLogger("metapipe")


class Text(Dataset):
    """Texts of your own: a table with a column of texts and one of classes."""

    recommended: ClassVar[dict[str, object]] = RECOMMENDED

    root: Path | None = None
    """CSV, TSV (both may be gzipped) or Parquet, or a folder of them."""

    text: str = "text"
    """Column of the texts."""

    label: str = "label"
    """Column of the classes."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a class a line; classes are split
    by chance if not given."""

    split_seed: NonNegativeInt = 0
    """Seed of the random split."""

    shares: tuple[Share, Share] = (0.6, 0.15)
    """Shares of the classes to train on and to validate on; the rest are tested on."""

    inputs: Inputs = "ngrams"
    """Hashed n-grams, for the model ngrams; or TF-IDF fitted on the training classes,
    for the model mlp or the algorithm sklearn."""

    words: PositiveInt = 32
    """Words of a text that are read."""

    grams: PositiveInt = 16
    """N-grams of a word that are read."""

    def open(self, split: Split) -> ArraySource:
        """The texts of a split's classes."""
        if self.root is None:
            raise DataError("text needs a table: -s dataset.root=PATH")
        texts = _read(self.root.expanduser(), self.text, self.label)
        classes = sorted(texts)
        lists = (
            by_lists(classes, self.lists.expanduser())
            if self.lists
            else by_chance(classes, self.split_seed, self.shares)
        )
        encoder = _encoder(self, self.text, self.label, texts, lists)
        return _source(texts, lists, split, encoder)


class Banking77(Dataset):
    """Questions to a bank by intent: 42 intents to train on, 10 to validate, 25 to
    test."""

    paper: ClassVar[str] = (
        "Casanueva, Temcinas, Gerz, Henderson & Vulic, NLP for ConvAI 2020, "
        "https://arxiv.org/abs/2003.04807"
    )
    recommended: ClassVar[dict[str, object]] = RECOMMENDED

    root: Path | None = None
    """Folder with train.csv and test.csv, gzipped or not, of PolyAI's
    task-specific-datasets."""

    split_seed: NonNegativeInt = 0
    """Seed of the split of the intents; there is no official one."""

    inputs: Inputs = "ngrams"
    """Hashed n-grams, for the model ngrams; or TF-IDF fitted on the training intents,
    for the model mlp or the algorithm sklearn."""

    words: PositiveInt = 32
    """Words of a text that are read."""

    grams: PositiveInt = 16
    """N-grams of a word that are read."""

    def open(self, split: Split) -> ArraySource:
        """The questions of a split's intents; the origin's own split is by text, and
        both halves are used."""
        if self.root is None:
            raise DataError(
                "banking77 needs its tables: -s dataset.root=PATH (docs/data.md tells "
                "how to get them)"
            )
        texts = _read(self.root.expanduser(), "text", "category", ("train", "test"))
        lists = by_chance(sorted(texts), self.split_seed, (42 / 77, 10 / 77))
        encoder = _encoder(self, "text", "category", texts, lists)
        return _source(texts, lists, split, encoder)


def _read(
    root: Path, text: str, label: str, stems: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Texts of each class, in the order of the tables."""
    found: dict[str, list[str]] = defaultdict(list)
    for table in find_tables(root):
        if not stems or table.name.split(".")[0] in stems:
            for row in read_rows(table, (text, label)):
                found[str(row[label])].append(str(row[text]))
    if not found:
        raise DataError(f"{root} has none of the tables {' and '.join(stems)}")
    _report_duplicates(found)
    return found


def _report_duplicates(texts: Mapping[str, Sequence[str]]) -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for label, members in texts.items():
        for text in members:
            owners[text].add(label)
    shared = sorted(text for text, labels in owners.items() if len(labels) > 1)
    if shared:
        examples = "; ".join(f"'{text[:60]}'" for text in shared[:SHOWN])
        logger.warning("%d texts are in several classes: %s", len(shared), examples)


def _encoder(
    settings: Text | Banking77,
    text: str,
    label: str,
    texts: Mapping[str, Sequence[str]],
    lists: Lists,
) -> Encoder:
    if settings.inputs == "ngrams":
        return TextEncoder(
            text=text, label=label, words=settings.words, grams=settings.grams
        )
    known = [each for name in lists["train"] for each in texts[name]]
    return TfidfEncoder.fit(known, text, label)


def _source(
    texts: Mapping[str, Sequence[str]], lists: Lists, split: Split, encoder: Encoder
) -> ArraySource:
    names = lists[split]
    if not names:
        raise DataError(
            f"the split leaves none of the {len(texts)} classes for {split}: give "
            "other -s dataset.shares, or lists"
        )
    items = encoder.encode([each for name in names for each in texts[name]])
    starts = np.cumsum([0, *(len(texts[name]) for name in names)])
    return ArraySource(items.numpy(), tuple(names), starts, encoder)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer texts, and Banking77."""
    register("text", Text)
    register("banking77", Banking77)
