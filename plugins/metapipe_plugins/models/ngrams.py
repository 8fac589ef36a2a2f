"""Hashed n-grams in a trained embedding: texts without a vocabulary or a download.

Words are the mean of their n-grams' vectors (Bojanowski, Grave, Joulin & Mikolov, TACL
2017), read by convolutions or a transformer, or not at all, and pooled by attention.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from metapipe import DropShare, Model, Register, Statistics, UnsupportedError, hookimpl
from metapipe.numerics import LayerNorm

LENGTH = 4.0
"""Of features: their squared distances are 64 at most, sharp and not too sure."""


class NGrams(Model):
    """An embedding of hashed n-grams, an encoder over words, and a linear head."""

    paper: ClassVar[str] = (
        "Bojanowski, Grave, Joulin & Mikolov, TACL 2017, "
        "https://arxiv.org/abs/1607.04606"
    )

    buckets: PositiveInt = 2**15
    """Vectors in the embedding; n-grams whose hashes agree modulo this share one."""

    width: int = Field(default=128, ge=2)
    """Length of the vectors, and of the features."""

    encoder: Literal["none", "convolution", "transformer"] = "convolution"
    """What reads the words in their order."""

    layers: PositiveInt = 1
    """Layers of that."""

    dropout: DropShare = 0.0
    """Share of the n-grams that are left out at random in training, by the algorithms
    that train features and a head; MAML and its kin adapt without."""

    heads: PositiveInt = 4
    """Heads of the transformer's attention."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, words, grams) hashes -> (n, outputs), or features (n, width)."""
        if len(shape) != 2:
            other = "mlp" if len(shape) == 1 else "conv4"
            raise UnsupportedError(
                f"ngrams takes hashed texts (words, grams), not inputs of shape {shape}"
                f": choose another model, for example --model {other}"
            )
        if self.encoder == "transformer" and self.width % self.heads:
            raise UnsupportedError(
                f"model.width = {self.width} is no multiple of model.heads = "
                f"{self.heads}"
            )
        return Network(self, outputs)


class Network(nn.Module):
    """Embedding, encoder, pooling and head."""

    def __init__(self, settings: NGrams, outputs: int | None) -> None:
        super().__init__()
        width = settings.width
        self.dropout = settings.dropout
        self.stochastic = settings.dropout > 0
        self.ordered = settings.encoder == "transformer"  # attention knows no order
        self.vectors = nn.Embedding(settings.buckets, width)
        self.weights = nn.Embedding(settings.buckets, 1)
        nn.init.normal_(self.vectors.weight, std=1 / math.sqrt(width))
        nn.init.zeros_(self.weights.weight)
        self.encoder = nn.ModuleList()
        if settings.encoder == "convolution":
            self.encoder.extend(Convolution(width) for _ in range(settings.layers))
        elif settings.encoder == "transformer":
            heads = settings.heads
            self.encoder.extend(Attention(width, heads) for _ in range(settings.layers))
        if outputs is not None:
            self.head = nn.Linear(width, outputs)

    def forward(self, hashes: Tensor) -> Tensor:
        """(n, words, grams), 0 where there is none -> (n, width) or (n, outputs)."""
        there = hashes != 0
        if self.training and self.dropout:
            there = there & (
                torch.rand(there.shape, device=there.device) > self.dropout
            )
        places = hashes.long() % self.vectors.num_embeddings
        words, weight = self._words(places, there)
        present = there.any(-1)
        if self.ordered:
            words = words + positions(words)
        for layer in self.encoder:
            words = layer(words, present)
        # A word counts as much as its n-grams learn to say; at first all alike.
        share = weight.masked_fill(~present, -30.0).softmax(-1)
        features = (share.unsqueeze(-1) * words).sum(-2)
        features = LENGTH * F.normalize(features, dim=-1)
        head: Tensor = self.head(features) if hasattr(self, "head") else features
        return head

    def _words(self, places: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Mean vector (n, words, width) and weight (n, words) of a word's n-grams."""
        dtype = self.vectors.weight.dtype
        mask = there.to(dtype)
        share = (mask / mask.sum(-1, keepdim=True).clamp(min=1)).unsqueeze(-1)
        words = (share * self.vectors(places)).sum(-2)
        return words, (share * self.weights(places)).sum((-2, -1))


def positions(words: Tensor) -> Tensor:
    """(words, width): sines and cosines of the place, as long as a word's vector is at
    first (Vaswani et al. 2017, section 3.5)."""
    count, width = words.shape[-2:]
    place = torch.arange(count, device=words.device, dtype=words.dtype)
    wave = torch.arange(width, device=words.device, dtype=words.dtype)
    angles = place[:, None] / 100 ** (wave // 2 * 2 / width)
    return (angles + wave % 2 * math.pi / 2).sin() * math.sqrt(2 / width)


class Convolution(nn.Module):
    """A word and its two neighbours, added to the word."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, words: Tensor, present: Tensor) -> Tensor:
        """(n, words, width) -> the same."""
        mask = present.unsqueeze(-1).to(words.dtype)
        read = self.conv((self.norm(words) * mask).mT).mT
        return words + F.gelu(read)


class Attention(nn.Module):
    """A transformer's layer, its normalisation first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense_norm = LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, words: Tensor, present: Tensor) -> Tensor:
        """(n, words, width) -> the same."""
        n, count, width = words.shape
        parts = self.into(self.norm(words)).reshape(n, count, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.mT / math.sqrt(width / self.heads)
        scores = scores.masked_fill(~present[:, None, None, :], -30.0)
        read = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n, count, width)
        words = words + self.out(read)
        dense: Tensor = self.narrow(F.gelu(self.wide(self.dense_norm(words))))
        return words + dense


@hookimpl
def register_models(register: Register) -> None:
    """Offer the embedding of n-grams."""
    register("ngrams", NGrams)
