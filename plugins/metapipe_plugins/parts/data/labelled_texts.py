"""Texts of classes, which become inputs in one of three ways."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from metapipe import DataError, Dataset, Encoder, PathError, Split
from metapipe.data import (
    ArraySource,
    SentenceEncoder,
    TextEncoder,
    TfidfEncoder,
    column_name,
    find_tables,
    first_few,
    how_many,
    read_rows,
)
from metapipe_plugins.parts.data.class_splits import Lists
from metapipe_plugins.parts.data.labelled_rows import by_name, tell_of_names

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

    def check(self) -> None:
        """The folder of sentence-embeddings is there, if they are the inputs."""
        if self.inputs != "sentence-embeddings":
            return
        if self.sentence_model is None:
            raise PathError(
                "sentence-embeddings need the folder of a sentence-transformers model: "
                "-s dataset.sentence_model=PATH"
            )
        if not self.sentence_model.expanduser().is_dir():
            raise PathError(
                f"dataset.sentence_model = '{self.sentence_model}' is no folder: "
                "sentence-embeddings need that of a sentence-transformers model"
            )

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
                text=text,
                label=label,
                words=self.words,
                grams=self.grams,
                signs=True,
            )
        assert self.sentence_model is not None
        return SentenceEncoder.of(self.sentence_model, text, label)


def read_texts(root: Path, text: str, label: str, stems: Sequence[str] = ()) -> Texts:
    """Texts of each class, in the order of the tables; of those called `stems`, if any
    are. Texts in several classes, twice in one, and empty ones are told of. Raises
    DataError."""
    tables = [
        table
        for table in find_tables(root)
        if not stems or table.name.split(".")[0] in stems
    ]
    if not tables:
        raise DataError(f"{root} has none of the tables {' and '.join(stems)}")
    rows = [row for path in tables for row in read_rows(path, (text, label), (label,))]
    column = column_name(text)
    labelled = by_name(rows, column_name(label))
    tell_of_names(labelled, column_name(label))
    texts = {
        name: [str(row[column]) for row in members]
        for name, members in labelled.items()
    }
    if empty := [row for row in rows if not str(row[column]).strip()]:
        first = getattr(empty[0], "origin", "")
        logger.warning("texts that are empty: %d, the first in %s", len(empty), first)
    _report_repeats(texts)
    return texts


def _report_repeats(texts: Texts) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for label, members in texts.items():
        for text in members:
            owners[text].append(label)
    several = {text: labels for text, labels in owners.items() if len(labels) > 1}
    across = [text for text, labels in several.items() if len(set(labels)) > 1]
    within = [text for text in several if text not in set(across)]
    for found, where in (
        (across, "in several classes"),
        (within, "more than once in a class"),
    ):
        if found:
            examples = first_few([f"'{text[:60]}'" for text in sorted(found)])
            many = how_many(len(found), "text", "are")
            logger.warning("%s %s: %s", many, where, examples)
