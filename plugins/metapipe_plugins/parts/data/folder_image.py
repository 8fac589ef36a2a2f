"""How the processors of transformers bring a picture to its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from PIL import Image

from metapipe.data import ImageEncoder

LONGEST = 8
"""Of a longer picture only the middle is resized, so many times as long as wide."""

TO_SHORTEST = ("CLIP", "Bit", "ConvNext")
"""Kinds of transform for which one number is the length of the shorter side."""

CROPPING = ("CLIP", "Bit")
"""Those that cut out the middle unless they say otherwise."""


class FolderImage(ImageEncoder):
    """A picture brought to its size as the library's processors do it."""

    shortest: int | None
    """Of the shorter side, before the middle is cut out; None stretches."""

    resample: int
    """Pillow's number of the filter."""

    def resized(self, image: Image.Image) -> Image.Image:
        """Without the margins that are cut off."""
        method = Image.Resampling(self.resample)
        if self.shortest is None:
            return image.resize((self.width, self.height), method)
        image = _middle(image, *(min(n, LONGEST * min(image.size)) for n in image.size))
        least = min(image.size)
        width, height = (int(self.shortest * side / least) for side in image.size)
        return _middle(image.resize((width, height), method), self.width, self.height)


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


class Transform(NamedTuple):
    """What preprocessor_config.json says."""

    image: FolderImage
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Of its contents. Raises KeyError, TypeError or ValueError for what is not
        understood."""
        kind = str(
            told.get("image_processor_type", told.get("feature_extractor_type", ""))
        )
        size = _size(told["size"], kind.startswith(TO_SHORTEST))
        crops = told.get("do_center_crop", kind.startswith(CROPPING))
        if not told.get("do_resize", True) or told.get("do_pad"):
            raise ValueError("pictures have to be resized to one size, without margins")
        if abs(told.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
            raise ValueError(f"rescale_factor = {told['rescale_factor']} is not 1/255")
        shortest = size.get("shortest_edge")
        if kind.startswith("ConvNext") and shortest is not None:
            height = width = shortest
            share = told.get("crop_pct", 224 / 256)
            shortest = int(shortest / share) if shortest < 384 else None
        elif shortest is None:
            height, width = size["height"], size["width"]
            if crops and told.get("crop_size", told["size"]) != told["size"]:
                raise ValueError("a part is cut out of a picture that was stretched")
        elif crops:
            crop = _size(told.get("crop_size", shortest), False)
            height, width = crop["height"], crop["width"]
        else:
            raise ValueError("pictures keep their aspect ratio, and are of no one size")
        if shortest is not None and shortest < max(height, width):
            raise ValueError(f"{height} x {width} are cut out of {shortest}")
        normalises = told.get("do_normalize", True)
        return cls(
            FolderImage(
                height=height,
                width=width,
                channels=3,
                fit="stretch" if shortest is None else "crop",
                shortest=shortest,
                resample=told.get("resample", Image.Resampling.BILINEAR),
            ),
            tuple(map(float, told["image_mean"])) if normalises else (0.0, 0.0, 0.0),
            tuple(map(float, told["image_std"])) if normalises else (1.0, 1.0, 1.0),
        )


def _size(told: Any, shortest: bool) -> dict[str, int]:
    if isinstance(told, int):
        return {"shortest_edge": told} if shortest else {"height": told, "width": told}
    return {name: int(value) for name, value in told.items() if value is not None}
