"""Pictures for an encoder, and how they reach the network."""

from __future__ import annotations

import io

from PIL import Image

from ..data.feature_encoder import FeatureEncoder
from ..data.image_encoder import ImageEncoder
from ..encoder import Encoder
from ..errors import UnsupportedError
from ..problem import Problem

LARGEST = 96
"""Pixels a side; a larger one is made smaller."""


def picture_encoder(problem: Problem, encoder: Encoder | None) -> Encoder:
    """The encoder, if there are classes and it takes pictures. Raises UnsupportedError
    if not, and DataError if something is not here that it needs."""
    if problem.kind != "classification":
        raise UnsupportedError(f"it learned {problem.kind}, and here are classes")
    if encoder is None or encoder.form != "file":
        raise UnsupportedError(
            "it takes rows of texts or numbers, and here are pictures: see metapipe "
            "adapt --support"
        )
    encoder.check()
    return encoder


def seen_picture(encoder: Encoder, content: bytes) -> bytes | None:
    """A small PNG of what an encoder makes of the picture in a file, before channels
    are normalised; None for an encoder that does not tell. Raises DataError."""
    known = encoder.image if isinstance(encoder, FeatureEncoder) else encoder
    if not isinstance(known, ImageEncoder):
        return None
    image = Image.fromarray(known.pixels(content))
    image.thumbnail((LARGEST, LARGEST))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
