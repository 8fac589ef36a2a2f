"""Texts as inputs: hashed n-grams of words, or TF-IDF."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ..encoder import Encoder, Form
from ..errors import DataError
from .row import cells_of, column_name, origin_of

HASHES = 2**24
"""Hashes are below this, so that even a float holds them; 0 is no n-gram."""

KNOWN = 12
"""Words and pairs of an example text that are in the vocabulary."""

WORD = re.compile(r"\w+|[^\w\s]")

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Signs of scripts that set no blanks between words; Korean does."""

SIGN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")

SPACED = re.compile(rf"[^\W{UNSPACED}]{{2,}}")

MOST_SIGNS = 20_000
"""Signs and pairs of signs that TF-IDF knows at most."""


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

    signs: bool = False
    """Whether each sign of a script without blanks between words is a word."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(words, grams)."""
        return (self.words, self.grams)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Texts, or rows that have one -> (n, words, grams) hashes, 0 where none is."""
        hashes = np.zeros((len(items), *self.shape), np.int64)
        for number, item in enumerate(items):
            before = "<"
            words = _words(text_of(item, self.text, number), self.signs)
            for place, word in enumerate(words[: self.words]):
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
    learned encoders have to beat. Of signs, where there are no words."""

    form: ClassVar[Form] = "row"
    type: Literal["tfidf"] = "tfidf"
    text: str
    label: str
    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]
    of: Literal["words", "signs"] = "words"
    """What is counted."""

    @classmethod
    def fit(cls, texts: Sequence[str], text: str, label: str) -> Self:
        """Vocabulary and weights of the texts of a training split: of words, or of
        signs if most texts have no words with blanks between, as in Chinese or Thai.

        Raises DataError if no word or sign is in two texts.
        """
        texts = [unicodedata.normalize("NFC", each) for each in texts]
        of: Literal["words", "signs"] = "signs" if _are_unspaced(texts) else "words"
        fitted = _new_vectoriser(of, min_df=2)
        try:
            fitted.fit(texts)
        except ValueError as error:
            raise DataError(
                f"none of the {of} of the {len(texts)} training texts is in two of "
                "them: give more texts, or use -s dataset.inputs=ngrams"
            ) from error
        known = tuple(map(str, fitted.get_feature_names_out()))
        idf = fitted.idf_.tolist()
        return cls(text=text, label=label, vocabulary=known, idf=idf, of=of)

    @property
    def shape(self) -> tuple[int, ...]:
        """(words of the vocabulary,)."""
        return (len(self.vocabulary),)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Texts, or rows that have one -> (n, vocabulary)."""
        if not len(items):
            return torch.empty(0, *self.shape)
        texts = [text_of(item, self.text, number) for number, item in enumerate(items)]
        fitted = _vectoriser(self.vocabulary, self.idf, self.of)
        vectors = fitted.transform(texts).toarray().astype(np.float32)
        return torch.from_numpy(vectors)

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, vocabulary): a few weights each, none negative, of length 1."""
        generator = torch.Generator().manual_seed(seed)
        weights = torch.rand(count, *self.shape, generator=generator)
        order = torch.rand(count, *self.shape, generator=generator).argsort(-1)
        return F.normalize(weights.masked_fill(order >= KNOWN, 0), dim=-1)


def text_of(item: Any, column: str, number: int = 0) -> str:
    """The text itself, or that of a row, composed (NFC). Raises DataError if there is
    none; `number` counts the items from 0."""
    origin = origin_of(item, number)
    if isinstance(item, Mapping) or hasattr(item, "to_dict"):
        cells, name = cells_of(item, origin), column_name(column)
        if name not in cells:
            raise DataError(f"{origin} has no column '{name}'")
        item = cells[name]
    if not isinstance(item, str):
        raise DataError(f"{origin}: a text is wanted, not {type(item).__name__}")
    return unicodedata.normalize("NFC", item)


def _words(text: str, signs: bool) -> list[str]:
    found: list[str] = (SIGN if signs else WORD).findall(text.casefold())
    return found


def _are_unspaced(texts: Sequence[str]) -> bool:
    """Whether the most of them are mostly of signs that are no words by themselves."""
    few = [text for text in texts if 2 * _spaced(text) < len("".join(text.split()))]
    return 2 * len(few) > len(texts)


def _spaced(text: str) -> int:
    """Characters of words that blanks or marks separate."""
    return sum(len(word) for word in SPACED.findall(text))


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
    return 1 + zlib.crc32(gram.encode(errors="surrogatepass")) % (HASHES - 1)


@lru_cache(4)
def _vectoriser(vocabulary: tuple[str, ...], idf: tuple[float, ...], of: str) -> Any:
    fitted = _new_vectoriser(of, vocabulary=list(vocabulary))
    fitted.idf_ = np.array(idf)
    return fitted


def _new_vectoriser(of: str, **arguments: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if of == "signs":
        arguments = {"analyzer": "char", "max_features": MOST_SIGNS, **arguments}
    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), **arguments)
