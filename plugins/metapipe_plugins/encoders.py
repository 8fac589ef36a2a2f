"""metapipe's own encoders: pictures, texts, sentence vectors and rows."""

from __future__ import annotations

from metapipe import RegisterEncoder, hookimpl
from metapipe.data import (
    ImageEncoder,
    SentenceEncoder,
    TableEncoder,
    TextEncoder,
    TfidfEncoder,
)


@hookimpl
def register_encoders(register: RegisterEncoder) -> None:
    """Offer what the data sets use."""
    register("image", ImageEncoder)
    register("sentence-embeddings", SentenceEncoder)
    register("table", TableEncoder)
    register("text", TextEncoder)
    register("tfidf", TfidfEncoder)
