"""The setting that augments training pictures, the same in every data set of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metapipe import Source, Split
from metapipe.data import Augmentation, AugmentedSource

SHARE = 8
"""One so many-th of the side is the padding: 4 pixels of 32, as is usual."""

Augment = Annotated[
    Literal["none", "flip", "crop-flip"],
    Field(
        description="What is done at random to each training picture: nothing, "
        "mirrored or not, or also moved by up to an eighth of its side, with zeros "
        "coming in. Validation and test pictures stay as they are."
    ),
]


def augmented(source: Source, augment: Augment, split: Split) -> Source:
    """The training split with that done to its pictures; any other as it is."""
    if augment == "none" or split != "train":
        return source
    side = min(source.facts.shape[1:])
    pad = side // SHARE if augment == "crop-flip" else 0
    return AugmentedSource(source, Augmentation(pad=pad))
