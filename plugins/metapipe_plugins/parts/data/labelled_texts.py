"""Texts of classes, which become inputs in one of three ways."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from metapipe import DataError, Dataset, Encoder, Split
from metapipe.data import (
    ArraySource,
    SentenceEncoder,
    TextEncoder,
    TfidfEncoder,
    find_tables,
    read_rows,
)
from metapipe_plugins.parts.data.class_splits import Lists

SHOWN = 3
Texts = Mapping[str, Sequence[str]]
"""Of each class."""

logger = logging.getLogger("metapipe")


class LabelledTexts(Dataset):
    """What data sets of texts share: how the texts become inputs."""

    recommended: ClassVar[dict[str, object]] = {
        "run.model": "ngrams",
        "model.dropout": 0.6,
    }

    split_seed: NonNegativeInt = 0
    """Seed of the random split of the classes."""

    inputs: Literal["ngrams", "tfidf", "sentence-embeddings"] = "ngrams"
    """Hashed n-grams, for the model ngrams; or vectors, for the model mlp or the
    algorithm sklearn: TF-IDF fitted on the training classes, or those of a
    sentence-transformers model."""

    sentence_model: Path | None = None
    """Folder of the sentence-transformers model, for sentence-embeddings."""

    words: PositiveInt = 32
    """Words of a text that are read, for ngrams."""

    grams: PositiveInt = 16
    """N-grams of a word that are read, for ngrams."""

    def source(
        self, texts: Texts, lists: Lists, split: Split, text: str, label: str
    ) -> ArraySource:
        """The texts of a split's classes, from tables with columns `text` and `label`.

        Raises DataError if the split has no classes.
        """
        chosen = {name: texts[name] for name in lists[split]}
        if not chosen:
            raise DataError(
                f"the split leaves none of the {len(texts)} classes for {split}: give "
                "other -s dataset.shares, or lists"
            )
        known = [each for name in lists["train"] for each in texts[name]]
        encoder = self._encoder(text, label, known)
        starts = np.cumsum([0, *(len(members) for members in chosen.values())])
        if isinstance(encoder, SentenceEncoder):
            vectors, made_from = encoder.bank(chosen)
            return ArraySource(vectors, tuple(chosen), starts, encoder, made_from)
        items = encoder.encode([t for members in chosen.values() for t in members])
        return ArraySource(items.numpy(), tuple(chosen), starts, encoder)

    def _encoder(self, text: str, label: str, known: Sequence[str]) -> Encoder:
        """Fitted on `known`, the texts of the training classes, where it is fitted."""
        if self.inputs == "tfidf":
            return TfidfEncoder.fit(known, text, label)
        if self.inputs == "ngrams":
            return TextEncoder(
                text=text, label=label, words=self.words, grams=self.grams
            )
        if self.sentence_model is None:
            raise DataError(
                "sentence-embeddings need the folder of a sentence-transformers model: "
                "-s dataset.sentence_model=PATH"
            )
        return SentenceEncoder.of(self.sentence_model, text, label)


def read_texts(root: Path, text: str, label: str, stems: Sequence[str] = ()) -> Texts:
    """Texts of each class, in the order of the tables; of those called `stems`, if any
    are. Texts in several classes are told of. Raises DataError."""
    found: dict[str, list[str]] = defaultdict(list)
    for table in find_tables(root):
        if not stems or table.name.split(".")[0] in stems:
            for row in read_rows(table, (text, label), (label,)):
                found[str(row[label])].append(str(row[text]))
    if not found:
        raise DataError(f"{root} has none of the tables {' and '.join(stems)}")
    _report_duplicates(found)
    return found


def _report_duplicates(texts: Texts) -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for label, members in texts.items():
        for text in members:
            owners[text].add(label)
    shared = sorted(text for text, labels in owners.items() if len(labels) > 1)
    if shared:
        examples = "; ".join(f"'{text[:60]}'" for text in shared[:SHOWN])
        logger.warning("%d texts are in several classes: %s", len(shared), examples)
