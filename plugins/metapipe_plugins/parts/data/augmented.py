"""Settings that augment training pictures and drawings, alike in every data set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metapipe import Source, Split
from metapipe.data import Augmentation, AugmentedSource

SHARE = 8
"""One so many-th of the side is the padding: 4 pixels of 32, as is usual."""

JITTER = 0.4
"""Of brightness, contrast and saturation: MetaOptNet's."""

Augment = Annotated[
    Literal["none", "flip", "crop-flip", "crop-flip-jitter"],
    Field(
        description="What is done at random to each training picture: nothing, "
        "mirrored or not, or also moved by up to an eighth of its side, with zeros "
        "coming in, or also with other brightness, contrast and saturation (0.6 to 1.4 "
        "times). Validation and test pictures stay as they are."
    ),
]

AugmentDrawing = Annotated[
    Literal["none", "turn"],
    Field(
        description="What is done at random to each training drawing: nothing, or "
        "turned by up to 10 degrees, scaled by up to a tenth, and shifted by up to "
        "two pixels of 28. Validation and test drawings stay as they are."
    ),
]


def augmented(source: Source, augment: str, split: Split) -> Source:
    """The training split with that done to its pictures; any other as it is."""
    if augment == "none" or split != "train":
        return source
    if augment == "turn":
        return AugmentedSource(source, Augmentation(flip=False, turn=True))
    side = min(source.facts.shape[1:])
    pad = side // SHARE if augment.startswith("crop") else 0
    jitter = JITTER if augment.endswith("jitter") else 0.0
    return AugmentedSource(source, Augmentation(pad=pad, jitter=jitter))
