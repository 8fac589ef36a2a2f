"""Texts as inputs: hashed n-grams of words, or TF-IDF."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ..encoder import Encoder, Form
from ..errors import DataError

HASHES = 2**24
"""Hashes are below this, so that even a float holds them; 0 is no n-gram."""

KNOWN = 12
"""Words and pairs of an example text that are in the vocabulary."""

WORD = re.compile(r"\w+|[^\w\s]")


class TextEncoder(Encoder):
    """A text as hashed n-grams, a row a word: the word, the word with the one before
    it, and its character n-grams of three and four letters."""

    form: ClassVar[Form] = "row"
    type: Literal["text"] = "text"
    text: str
    """Column of a table that has the text."""

    label: str
    """Column that has the class."""

    words: int = Field(ge=1, le=4096)
    """Words of a text; the rest is cut off."""

    grams: int = Field(ge=1, le=256)
    """N-grams of a word; the rest is cut off."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(words, grams)."""
        return (self.words, self.grams)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Texts, or rows that have one -> (n, words, grams) hashes, 0 where none is."""
        hashes = np.zeros((len(items), *self.shape), np.int64)
        for number, item in enumerate(items):
            before = "<"
            for place, word in enumerate(
                _words(text_of(item, self.text))[: self.words]
            ):
                found = _grams(before, word)[: self.grams]
                hashes[number, place, : len(found)] = found
                before = word
        return torch.from_numpy(hashes)

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, words, grams): texts of random words in random number; the rest 0."""
        rng = np.random.default_rng(seed)
        hashes = rng.integers(1, HASHES, (count, *self.shape))
        words = rng.integers(1, self.words, (count, 1, 1), endpoint=True)
        grams = rng.integers(1, self.grams, (count, self.words, 1), endpoint=True)
        there = np.arange(self.words)[:, None] < words
        there = there & (np.arange(self.grams) < grams)
        return torch.from_numpy(np.where(there, hashes, 0))


class TfidfEncoder(Encoder):
    """A text as the TF-IDF of known words and pairs of words, of length 1: what the
    learned encoders have to beat."""

    form: ClassVar[Form] = "row"
    type: Literal["tfidf"] = "tfidf"
    text: str
    label: str
    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]

    @classmethod
    def fit(cls, texts: Sequence[str], text: str, label: str) -> Self:
        """Vocabulary and weights of the texts of a training split."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        fitted = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
        fitted.fit(texts)
        words = tuple(map(str, fitted.get_feature_names_out()))
        return cls(text=text, label=label, vocabulary=words, idf=fitted.idf_.tolist())

    @property
    def shape(self) -> tuple[int, ...]:
        """(words of the vocabulary,)."""
        return (len(self.vocabulary),)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Texts, or rows that have one -> (n, vocabulary)."""
        if not len(items):
            return torch.empty(0, *self.shape)
        texts = [text_of(item, self.text) for item in items]
        fitted = _vectoriser(self.vocabulary, self.idf)
        vectors = fitted.transform(texts).toarray().astype(np.float32)
        return torch.from_numpy(vectors)

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, vocabulary): a few weights each, none negative, of length 1."""
        generator = torch.Generator().manual_seed(seed)
        weights = torch.rand(count, *self.shape, generator=generator)
        order = torch.rand(count, *self.shape, generator=generator).argsort(-1)
        return F.normalize(weights.masked_fill(order >= KNOWN, 0), dim=-1)


def text_of(item: Any, column: str) -> str:
    """The text itself, or that of a row. Raises DataError if there is none."""
    if isinstance(item, dict):
        if column not in item:
            raise DataError(f"a row has no column '{column}'")
        item = item[column]
    if not isinstance(item, str):
        raise DataError(f"a text is wanted, not {type(item).__name__}")
    return item


def _words(text: str) -> list[str]:
    found: list[str] = WORD.findall(text.casefold())
    return found


@lru_cache(100_000)
def _grams(before: str, word: str) -> list[int]:
    return [_hash(gram) for gram in _spelled(before, word)]


def _spelled(before: str, word: str) -> Iterator[str]:
    yield f"w {word}"
    yield f"p {before} {word}"
    marked = f"<{word}>"
    for length in (3, 4):
        for start in range(len(marked) - length + 1):
            yield f"c {marked[start : start + length]}"


def _hash(gram: str) -> int:
    return 1 + zlib.crc32(gram.encode()) % (HASHES - 1)


@lru_cache(4)
def _vectoriser(vocabulary: tuple[str, ...], idf: tuple[float, ...]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    fitted = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), vocabulary=list(vocabulary)
    )
    fitted.idf_ = np.array(idf)
    return fitted
