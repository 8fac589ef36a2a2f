"""Pictures of all formats, with a few bytes of them changed."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from metapipe.data import ImageEncoder

from .target import Target
from .values import damaged

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX")
FORMATS += ("JPEG2000", "DDS", "SGI", "MPO", "ICNS", "DIB")
MODES = ("L", "RGB", "RGBA", "P", "1", "I;16", "I", "F", "CMYK", "LA", "YCbCr")
SIZES = ((1, 1), (7, 5), (32, 32), (100, 1), (64, 200))
ENCODERS = tuple(
    ImageEncoder(height=28, width=28, channels=channels, fit=fit)
    for channels in (1, 3)
    for fit in ("stretch", "crop", "pad")
)


def make(random: Random) -> bytes:
    """A file, mostly damaged behind its first bytes."""
    whole = _whole(random.choice(FORMATS), random.choice(MODES), random.choice(SIZES))
    if random.random() < 0.1:
        return whole
    kept = random.choice((0, 8, 16, 40))
    return whole[:kept] + damaged(random, whole[kept:])


def read(made: bytes, _: Path) -> None:
    """By each way of fitting, to grey and to colours."""
    for encoder in ENCODERS:
        encoder.pixels(made)


@cache
def _whole(name: str, mode: str, size: tuple[int, int]) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    image = Image.fromarray(pixels)
    kind = "F" if mode == "F" else "I" if mode.startswith("I") else mode
    for wanted in (kind, "RGB", "L", "1"):
        file = io.BytesIO()
        try:
            made = image.convert("L").convert(kind) if wanted == kind else image
            made = made.convert(wanted) if wanted != kind else made
            made.save(file, name, **_options(name))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return file.getvalue()
    return b""


def _options(name: str) -> dict[str, bytes]:
    """An orientation, where the format can tell it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif.tobytes()} if name in ("JPEG", "PNG", "WEBP") else {}


PICTURES = Target("pictures", make, read)
