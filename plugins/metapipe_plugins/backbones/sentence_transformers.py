"""Texts by a sentence-transformers model that lies in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from metapipe import Backbone, DataError, Form, Register, hookimpl
from metapipe.data import SentenceEncoder


class SentenceTransformers(Backbone):
    """Texts of a table as vectors of a sentence-transformers model of your own."""

    paper: ClassVar[str] = (
        "Reimers & Gurevych, EMNLP 2019, https://arxiv.org/abs/1908.10084"
    )
    form: ClassVar[Form] = "row"
    licence: ClassVar[str] = "that of the model in the folder"
    source: ClassVar[str] = "a folder that the library saved, with safetensors"
    install: ClassVar[str] = "pip install 'metapipe[sentence-embeddings]'"

    folder: Path | None = None
    """Where the model is: a folder with modules.json."""

    text: str = "text"
    """Column of the texts."""

    label: str = "label"
    """Column of the classes."""

    def encoder(self) -> SentenceEncoder:
        """The model's, with the hash of its files."""
        if self.folder is None:
            raise DataError(
                "sentence-transformers needs the folder of a model: "
                "-s backbone.folder=PATH"
            )
        return SentenceEncoder.of(self.folder, self.text, self.label)


@hookimpl
def register_backbones(register: Register) -> None:
    """Offer models of sentences."""
    register("sentence-transformers", SentenceTransformers)
