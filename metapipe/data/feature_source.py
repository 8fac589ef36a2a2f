"""Episodes of labelled pictures as the vectors that a frozen network makes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dataset import SourceFacts
from ..encoder import Encoder
from .bank import Bank, Bytes
from .image_source import BankSource
from .sampling import Integers

HASH = 32
"""Bytes of a SHA-256, which an item has before its vector."""


def feature_item(encoder: Encoder, content: bytes | NDArray[Any]) -> Bytes:
    """An item of a bank of vectors: a hash of what a file or an array has, and the
    vector made of it. Raises DataError if it cannot be read."""
    known = content if isinstance(content, bytes) else content.tobytes()
    vector = encoder.encode([content]).contiguous().numpy().view(np.uint8)
    made_from = np.frombuffer(hashlib.sha256(known).digest(), np.uint8)
    return np.concatenate([made_from[None], vector], axis=1)


@dataclass(frozen=True)
class FeatureSource(BankSource):
    """Some classes of a bank of `feature_item`s, to draw episodes from.

    The episodes are those that an `ImageSource` of the same pictures draws.
    """

    encoder: Encoder = field(kw_only=True)
    """What made the vectors."""

    turned: Mapping[int, Bank] = field(default_factory=dict)
    """Banks of the same pictures, turned by so many quarters, where they are needed."""

    @cached_property
    def facts(self) -> SourceFacts:
        """Of vectors (d,).

        The fingerprint is of the pictures and of the encoder's hash: computing a vector
        again may round otherwise.
        """
        facts = self._facts
        members = [(member.index, member.turns) for member in self.members]
        known: Any = [self.bank.classes, self.bank.starts.tolist(), members]
        made_by = self.encoder.model_dump(mode="json")
        text = json.dumps([known, self.random_turns, made_by])
        fingerprint = hashlib.sha256(text.encode())
        fingerprint.update(np.ascontiguousarray(self.bank.items[..., :HASH]).data)
        return replace(
            facts,
            shape=tuple(self.encoder.shape),
            fingerprint=fingerprint.hexdigest(),
            nbytes=facts.nbytes * (1 + len(self.turned)),
            encoder=self.encoder,
        )

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the pictures that the vectors were made of."""
        for index in sorted({member.index for member in self.members}):
            first, last = self.bank.starts[index : index + 2]
            for item in self.bank.items[first:last]:
                yield item[..., :HASH].tobytes(), self.bank.classes[index]

    def inputs(self, places: Integers, turns: Integers) -> Tensor:
        """(T, ways, k, d)."""
        items: Bytes = self.bank.items[places]
        for quarter, bank in self.turned.items():
            items[turns == quarter] = bank.items[places[turns == quarter]]
        vectors = np.ascontiguousarray(items[..., 0, HASH:]).view(np.float32)
        return torch.from_numpy(vectors)
