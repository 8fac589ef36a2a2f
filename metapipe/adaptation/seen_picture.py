"""A picture as it reaches the network."""

from __future__ import annotations

import io

from PIL import Image

from ..data.feature_encoder import FeatureEncoder
from ..data.image_encoder import ImageEncoder
from ..encoder import Encoder

LARGEST = 96
"""Pixels a side; a larger one is made smaller."""


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
