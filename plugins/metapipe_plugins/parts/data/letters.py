"""Letters of the DejaVu fonts, which matplotlib's wheel carries, drawn on a square."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = 28
"""Pixels a side of an image."""

BOX = 20
"""A letter is scaled to fit a square of so many pixels before it is jittered."""

FINE = 4
"""Letters are drawn so many times finer than the image, then reduced."""


@lru_cache(maxsize=64)
def drawn(font: Path, letter: str) -> Image.Image:
    """The letter scaled to its box and centred, FINE times finer than the image."""
    face = face_of(font)
    left, top, right, bottom = face.getbbox(letter)
    raw = Image.new("L", (int(right - left) + 16, int(bottom - top) + 16))
    ImageDraw.Draw(raw).text((8 - left, 8 - top), letter, font=face, fill=255)
    raw = raw.crop(raw.getbbox())
    scale = BOX * FINE / max(raw.size)
    size = (max(1, round(raw.width * scale)), max(1, round(raw.height * scale)))
    return centred(raw.resize(size, Image.Resampling.BILINEAR))


def centred(image: Image.Image) -> Image.Image:
    """`image` in the middle of an empty one of SIZE * FINE a side."""
    side = SIZE * FINE
    canvas = Image.new("L", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


@lru_cache(maxsize=16)
def face_of(font: Path) -> ImageFont.FreeTypeFont:
    """The font, laid out without Raqm, which not every machine has."""
    basic = ImageFont.Layout.BASIC
    return ImageFont.truetype(str(font), BOX * FINE, layout_engine=basic)


@lru_cache(maxsize=1)
def text_fonts() -> tuple[Path, ...]:
    """The twelve DejaVu text fonts, the plain sans-serif first."""
    from matplotlib import get_data_path  # slow, and nobody else needs it

    folder = Path(get_data_path()) / "fonts" / "ttf"
    paths = [p for p in folder.glob("DejaVu*.ttf") if "Display" not in p.name]
    plain = folder / "DejaVuSans.ttf"
    return (plain, *sorted(path for path in paths if path != plain))


def fonts_with(letter: str) -> list[Path]:
    """The fonts that have it."""
    return [font for font in text_fonts() if ord(letter) in _letters_of(font)]


@lru_cache(maxsize=16)
def _letters_of(font: Path) -> frozenset[int]:
    """Code points the font has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font)).get_charmap())
