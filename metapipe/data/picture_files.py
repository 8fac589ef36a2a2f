"""Files of pictures, opened and flattened within bounds of memory and of time."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS = 2**27
"""Of one picture: 134 million."""

MAX_SLOW = 2**22
"""Pixels of a picture that Pillow decodes in Python, a thousand times slower."""

MAX_MEMORY = 640 * 2**20
"""Bytes that reading one picture may take, its file included."""

LARGE = 2**24
"""Pixels; a larger picture is made smaller as it is read, not only afterwards."""

ENOUGH = 3
"""How many times the size that is wanted a picture has at least, if it is made smaller
as it is read: more cannot be seen after the resize (Pillow's `reducing_gap`)."""

BAND = 2**22
"""Pixels flattened at a time."""

PIXEL = 4
"""Bytes of a pixel in Pillow's memory, at most."""

DECODING = {"WEBP": 16, "JPEG2000": 20, "AVIF": 10, "SGI": 8, "QOI": 8}
"""Bytes a pixel while it is decoded, where that is more; measured."""

UNWANTED = {
    *("EPS", "IPTC"),  # run Ghostscript, or what they have inside
    *("BUFR", "GRIB", "HDF5", "MPEG", "WMF"),  # only known by their names
}
"""Formats that are not opened, whatever the file is called."""

USUAL = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are tried first: others read more of a file before they see that it is
not theirs, which takes as long as decoding a small picture."""

NESTED = {"ICO", "ICNS", "CUR"}
"""Formats of which a picture inside may be larger than the file says."""

UNBOUNDED = {"fits_gzip"}
"""Decoders that unpack what they are given, however much it becomes."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks of a PNG that say nothing of its pixels, but may say where its top is."""

TURNED = (b"Raw profile type exif", b"XML:com.adobe.xmp")
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BYTE, WORD = 255, 65535
"""Largest values of a channel of eight and of sixteen bits."""


def picture_suffixes() -> tuple[str, ...]:
    """Of the files that may be pictures: of formats that are read."""
    known = {*picture_formats(), "MPO"}  # a JPEG with others behind it
    found = Image.registered_extensions().items()
    return tuple(suffix for suffix, name in found if name in known)


def picture_formats() -> list[str]:
    """Pillow's names of the formats that are read, in the order of trying."""
    Image.init()
    return [*USUAL, *sorted(set(Image.OPEN) - UNWANTED - set(USUAL))]


def open_picture(content: bytes) -> Image.Image:
    """The first picture in a file, not yet decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `flat_picture` has bounds of its own
        file = io.BytesIO(_without_texts(content))
        return Image.open(file, formats=picture_formats())


def flat_picture(image: Image.Image, mode: str, size: tuple[int, int]) -> Image.Image:
    """Upright, of mode "L" or "RGB", white where it was transparent; a large one with
    at least ENOUGH times `size` (width, height).

    Raises ValueError for a picture that is too large, or has values that are no
    brightness, and whatever else Pillow raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if image.format in NESTED:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        least = ENOUGH * max(size)
        whole = image.width * image.height
        if whole > LARGE:
            image.draft(image.mode, (least, least))
        factor = max(min(image.size) // least, 1) if whole > LARGE else 1
        _require_bounded(image, whole, factor)
        image.load()
        turn = TURNS.get(_orientation(image))
        flat = _flat(image, mode, factor)
    return flat if turn is None else flat.transpose(turn)


def _require_bounded(image: Image.Image, whole: int, factor: int) -> None:
    """Refuse a picture of `whole` pixels, of which some may be left out as it is
    decoded, if it takes too much to decode and to flatten to one pixel of factor^2."""
    if whole > MAX_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} are more than {MAX_PIXELS:,} pixels: it "
            "may be a bomb; make it smaller"
        )
    decoders = {tile[0] for tile in getattr(image, "tile", ())}
    if decoders & UNBOUNDED or (decoders & {*Image.DECODERS} and whole > MAX_SLOW):
        raise ValueError(
            f"{image.format} of this kind is read very slowly: save it as PNG"
        )
    left = image.width * image.height
    need = left * _bytes_a_pixel(image) + left * PIXEL // factor**2
    if image.info.get("progressive"):
        need += 2 * whole * len(image.getbands())
    file = getattr(image, "fp", None)
    if isinstance(file, io.BytesIO):
        need += len(file.getbuffer())
    if need > MAX_MEMORY:
        raise ValueError(
            f"{image.width} x {image.height} pixels of {image.format} take "
            f"{need >> 20} MiB to read, and the most is {MAX_MEMORY >> 20}: make it "
            "smaller, or save it as PNG"
        )


def _bytes_a_pixel(image: Image.Image) -> int:
    if image.format == "TIFF":  # a strip, which may be all of it, and what it becomes
        bits: tuple[int, ...] = getattr(image, "tag_v2", {}).get(258, (8,))
        return PIXEL + -(-sum(bits) // 8)
    return DECODING.get(image.format or "", PIXEL)


def _orientation(image: Image.Image) -> int:
    """Where its top is; 1, which is above, if its EXIF data cannot be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # cameras write what they will, and nothing else of it is wanted
        return 1


def _flat(image: Image.Image, mode: str, factor: int) -> Image.Image:
    most = _largest(image) if _is_deep(image) else 0
    if image.mode == mode and factor == 1 and not image.has_transparency_data:
        return image
    flat = Image.new(mode, (image.width // factor, image.height // factor))
    for row, band in _bands(image, factor):
        part = _grey(band, most) if most else _on_white(band)
        part = part.convert(mode)
        flat.paste(part.reduce(factor) if factor > 1 else part, (0, row))
    return flat


def _bands(image: Image.Image, factor: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """From the top down, the row that a band begins at, counted in factors, and the
    band. What is left over of the width and the height is left out on both sides."""
    width, height = (size - size % factor for size in image.size)
    left, above = ((size % factor) // 2 for size in image.size)
    rows = max(BAND // image.width // factor, 1) * factor
    for top in range(0, height, rows):
        below = min(top + rows, height)
        box = (left, above + top, left + width, above + below)
        yield top // factor, image.crop(box)


def _on_white(image: Image.Image) -> Image.Image:
    """White where the image is transparent."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether its values are of more than eight bits."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _grey(image: Image.Image, most: float) -> Image.Image:
    """Eight bits of values in [0, most]."""
    values = np.asarray(image, np.float64)
    return Image.fromarray((values * (BYTE / most)).astype(np.uint8))


def _largest(image: Image.Image) -> float:
    """The value that is white. Of 16 bits it is known; of others it is the least usual
    one that nothing in the picture exceeds. Raises ValueError for values that are no
    brightness."""
    if image.mode.startswith("I;16"):
        return WORD
    parts = (np.asarray(band) for _, band in _bands(image))
    ends: list[NDArray[np.float64]] = [
        np.array([part.min(), part.max()], np.float64) for part in parts
    ]
    least, most = float(np.min(ends)), float(np.max(ends))  # NaN stays NaN
    if image.mode == "F" and least >= 0 and most <= 1:
        return 1
    beyond = 2 if image.mode == "F" else 0  # what is just above 1 was meant to be 1
    if not (least >= 0 and beyond <= most <= WORD):
        raise ValueError(
            f"it has values from {least:g} to {most:g}: scale them to [0, 1], [0, 255] "
            "or [0, 65535], and fill in what is missing"
        )
    return BYTE if most <= BYTE else WORD


def _without_texts(content: bytes) -> bytes:
    """A PNG without what Pillow reads first and may refuse; anything else as it is."""
    if not content.startswith(SIGNATURE):
        return content
    return b"".join(chain([SIGNATURE], _chunks(memoryview(content))))


def _chunks(content: memoryview) -> Iterator[memoryview]:
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + size
        keyword = bytes(content[at + 8 : at + 40]).split(b"\0")[0]
        if kind not in TEXTS or keyword in TURNED:
            yield content[at:end]
        at = end
