"""Images as inputs: one transform for data sets, for new files, and for predictions."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field
from torch import Tensor

from .bank import Bytes
from .contracts import Encoder
from .errors import DataError

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,  # an encrypted member of a zip, or an unknown compression
    SyntaxError,  # what Pillow raises for a broken PNG
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What reading a damaged or hostile image raises."""


Fit = Literal["crop", "stretch", "pad"]


class ImageEncoder(Encoder):
    """Decode, turn upright, flatten onto white, resize (Lanczos) and perhaps invert."""

    type: Literal["image"] = "image"
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3]
    fit: Fit
    """How another aspect ratio becomes this one: cut the middle out, stretch, or add
    white margins."""

    invert: bool = False
    """Make dark ink bright, as data sets of drawings have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, self.height, self.width)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Paths, bytes of files, Pillow images or arrays -> (n, C, H, W) in [0, 1].

        Arrays (H, W) or (H, W, C) are bytes, or floats in [0, 1].
        """
        if not len(items):
            return torch.empty(0, *self.shape)
        return unit_floats(np.stack([self.pixels(item) for item in items]))

    def pixels(self, item: Any, name: str | None = None) -> Bytes:
        """One item as bytes (H, W), or (H, W, 3); `name` is for the message."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = _flat(ImageOps.exif_transpose(_opened(item)))
                grey = self.channels == 1
                return self._resized(image.convert("L" if grey else "RGB"))
        except UNREADABLE as error:
            reason = _reason(error)
            what = name or (item if isinstance(item, str | Path) else "the image")
            raise DataError(f"cannot read {what}: {reason}") from error

    def _resized(self, image: Image.Image) -> Bytes:
        size = (self.width, self.height)
        method = Image.Resampling.LANCZOS
        if self.fit == "stretch":
            image = image.resize(size, method)
        elif self.fit == "crop":
            image = ImageOps.fit(image, size, method)
        else:
            white = 255 if self.channels == 1 else (255, 255, 255)
            image = ImageOps.pad(image, size, method, color=white)
        pixels: Bytes = np.asarray(image)
        return 255 - pixels if self.invert else pixels


def picture_suffixes() -> tuple[str, ...]:
    """Of the files that may be pictures."""
    return tuple(Image.registered_extensions())


def unit_floats(images: Bytes) -> Tensor:
    """Bytes (n, H, W) or (n, H, W, C) -> floats (n, C, H, W) in [0, 1]."""
    images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    return torch.from_numpy(np.multiply(images, np.float32(1 / 255), order="C"))


def _opened(item: Any) -> Image.Image:
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, bytes):
        return Image.open(io.BytesIO(item))
    if isinstance(item, str | Path):
        return Image.open(io.BytesIO(Path(item).read_bytes()))
    pixels = np.asarray(item)
    if pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise ValueError("floats have to be in [0, 1]")
        pixels = np.round(pixels * 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _flat(image: Image.Image) -> Image.Image:
    """Eight bits a channel, and white where the image is transparent."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        most = 65535 if values.max(initial=0) > 255 else 255
        return Image.fromarray((values.clip(0, most) * (255 / most)).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    return " ".join(str(error).split()) or type(error).__name__
