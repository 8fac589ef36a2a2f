"""Images as inputs: one transform for data sets, for new files, and for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    model_validator,
)
from torch import Tensor

from ..encoder import Encoder
from ..errors import DataError
from .bank import Bytes
from .file import read_file, reason
from .picture_files import BYTE, flat_picture, open_picture

MOST_CHANNELS = 4

Fit = Literal["crop", "stretch", "pad"]


class Moments(BaseModel):
    """What is subtracted from each channel of an image in [0, 1], and what it is
    divided by."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[float, ...]
    deviation: tuple[PositiveFloat, ...]

    def normalised(self, images: Tensor) -> Tensor:
        """(..., C, H, W) in [0, 1] -> the same shape."""
        return (images - _channels(self.mean, images)) / _channels(
            self.deviation, images
        )

    def restored(self, images: Tensor) -> Tensor:
        """The inverse of `normalised`, within rounding."""
        deviation = _channels(self.deviation, images)
        return (images * deviation + _channels(self.mean, images)).clamp(0, 1)

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len(self.mean) != len(self.deviation) or not self.mean:
            raise ValueError(
                f"{len(self.mean)} means and {len(self.deviation)} deviations: one of "
                "each for every channel"
            )
        return self


class ImageEncoder(Encoder):
    """Decode, turn upright, flatten onto white, resize (Lanczos) and perhaps invert."""

    filter: ClassVar[Image.Resampling] = Image.Resampling.LANCZOS
    """A subclass may resize by another."""

    type: Literal["image"] = "image"
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3]
    fit: Fit
    """How another aspect ratio becomes this one: cut the middle out, stretch, or add
    white margins."""

    invert: bool = False
    """Make dark ink bright, as data sets of drawings have it."""

    moments: Moments | None = None
    """How channels are normalised; in [0, 1] if not given."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, self.height, self.width)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Paths, bytes of files, Pillow images or arrays -> (n, C, H, W), in [0, 1] or
        normalised.

        Arrays (H, W), (H, W, C) or (C, H, W) are integers in [0, 255], floats in
        [0, 1], or booleans.
        """
        if not len(items):
            return torch.empty(0, *self.shape)
        return self._inputs(np.stack([self.pixels(item) for item in items]))

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, C, H, W): noise of all 256 values, as `encode` gives it."""
        rng = np.random.default_rng(seed)
        colours = (self.channels,) if self.channels > 1 else ()
        size = (count, self.height, self.width, *colours)
        return self._inputs(rng.integers(0, BYTE, size, np.uint8, endpoint=True))

    def _inputs(self, images: Bytes) -> Tensor:
        inputs = unit_floats(images)
        return inputs if self.moments is None else self.moments.normalised(inputs)

    def pixels(self, item: Any, name: str | None = None) -> Bytes:
        """One item as bytes (H, W), or (H, W, 3); `name` is for the message."""
        mode = "L" if self.channels == 1 else "RGB"
        try:
            image = flat_picture(_opened(item), mode, (self.width, self.height))
            pixels: Bytes = np.asarray(self.resized(image))
            return 255 - pixels if self.invert else pixels
        except DataError:
            raise
        except Exception as error:  # Pillow's readers raise what they will
            reason = _reason(error)
            what = name or (item if isinstance(item, str | Path) else "the image")
            raise DataError(f"cannot read {what}: {reason}") from error

    def resized(self, image: Image.Image) -> Image.Image:
        """An upright picture without transparency, brought to this size."""
        size = (self.width, self.height)
        method = self.filter
        if self.fit == "stretch":
            return image.resize(size, method)
        if self.fit == "crop":
            return ImageOps.fit(image, size, method)
        white = 255 if self.channels == 1 else (255, 255, 255)
        return ImageOps.pad(image, size, method, color=white)


def unit_floats(images: Bytes) -> Tensor:
    """Bytes (n, H, W) or (n, H, W, C) -> floats (n, C, H, W) in [0, 1]."""
    images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    return torch.from_numpy(np.multiply(images, np.float32(1 / 255), order="C"))


def unit_floats_on(images: Tensor) -> Tensor:
    """The same of bytes on a device, there: to the same bits."""
    images = images[:, None] if images.dim() == 3 else images.movedim(-1, 1)
    return images.float().mul(float(np.float32(1 / 255))).contiguous()


def _channels(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    """(C, 1, 1)."""
    return torch.tensor(numbers, device=like.device)[:, None, None]


def _opened(item: Any) -> Image.Image:
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, bytes):
        return open_picture(item)
    if isinstance(item, str | Path):
        return open_picture(read_file(Path(item)))
    return Image.fromarray(_bytes(_channels_last(np.asarray(item))))


def _channels_last(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W), (H, W, C) or (C, H, W) -> (H, W) or (H, W, C)."""
    few = range(1, MOST_CHANNELS + 1)
    if pixels.ndim == 3 and pixels.shape[0] in few and pixels.shape[-1] not in few:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[-1] in (3, 4)):
        raise ValueError(
            f"an array of shape {pixels.shape} is no picture: (H, W), (H, W, C) or "
            "(C, H, W) is wanted"
        )
    return pixels


def _bytes(pixels: NDArray[Any]) -> Bytes:
    """Integers in [0, 255], floats in [0, 1], or booleans, as bytes."""
    if pixels.dtype.kind not in "biuf":
        raise ValueError(f"an array of {pixels.dtype} is no picture")
    most = BYTE if pixels.dtype.kind in "iu" else 1
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= most):
        kind = "integers" if most == BYTE else "floats"
        raise ValueError(f"{kind} have to be in [0, {most}]")
    scaled = pixels if most == BYTE else np.round(pixels * np.float64(BYTE))
    return scaled.astype(np.uint8)


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    return reason(error)
