"""Texts as vectors of a sentence-transformers model that lies in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from ..encoder import Encoder, Form
from ..errors import DataError
from .bank import open_bank
from .model_folder import folder_digest
from .text_encoders import text_of

BATCH = 64
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
"""What the library raises for a folder that is not whole."""


class SentenceEncoder(Encoder):
    """A text as the vector that a frozen sentence-transformers model gives it.

    Reimers & Gurevych, EMNLP 2019, https://arxiv.org/abs/1908.10084. The model stays in
    its folder: a run and an adapted model name it and know its hash.
    """

    form: ClassVar[Form] = "row"
    type: Literal["sentence-embeddings"] = "sentence-embeddings"
    text: str
    """Column of a table that has the text."""

    label: str
    """Column that has the class."""

    folder: str
    """Where the model is."""

    sha256: str
    """Of all its files."""

    width: int
    """Length of a vector."""

    @classmethod
    def of(cls, folder: Path, text: str, label: str) -> Self:
        """The encoder of a model's folder. Raises DataError if it cannot be used."""
        where = str(folder.expanduser().resolve())
        sha256 = _digest(where)
        width = _model(where, sha256).get_embedding_dimension()
        return cls(text=text, label=label, folder=where, sha256=sha256, width=width)

    def check(self) -> None:
        """Raise DataError if the model in the folder is not here, or another now."""
        _model(self.folder, self.sha256)

    @property
    def shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.width,)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Texts, or rows that have one -> (n, width)."""
        if not len(items):
            return torch.empty(0, self.width)
        model = _model(self.folder, self.sha256)
        vectors: Tensor = model.encode(
            [text_of(item, self.text, number) for number, item in enumerate(items)],
            batch_size=BATCH,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return vectors.float().cpu().clone()  # made in inference mode

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, width): random directions, of length 1 as most such models have."""
        return F.normalize(super().examples(count, seed), dim=-1)

    def bank(
        self, texts: Mapping[str, Sequence[str]]
    ) -> tuple[NDArray[np.float32], str]:
        """Vectors (n, width) of classes of texts, class after class, computed once and
        cached; and a hash of what they were computed from."""
        content = json.dumps([self.sha256, {k: list(v) for k, v in texts.items()}])
        made_from = hashlib.sha256(content.encode()).hexdigest()
        bank = open_bank(
            "sentences",
            made_from,
            lambda: (
                (name, _as_bytes(self.encode(members)))
                for name, members in texts.items()
            ),
        )
        return bank.items.view(np.float32).reshape(-1, self.width), made_from


def _as_bytes(vectors: Tensor) -> NDArray[np.uint8]:
    """(n, width) -> (n, 1, 4 * width): what a bank has room for."""
    return vectors.contiguous().numpy().view(np.uint8)[:, None]


@lru_cache(2)
def _model(folder: str, sha256: str) -> Any:
    if _digest(folder) != sha256:
        raise DataError(
            f"the sentence model in {folder} is another than the one this was made "
            "with: give it back its files"
        )
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise DataError(
            "sentence embeddings need sentence-transformers: "
            "pip install 'metapipe[sentence-embeddings]'"
        ) from error
    disable_progress_bar()  # of reading the weights, which takes no time
    try:
        return SentenceTransformer(
            folder,
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"the sentence model in {folder} cannot be read: {reason}"
        raise DataError(message) from error


def _digest(folder: str) -> str:
    return folder_digest(folder, "modules.json", "sentence-transformers model")
