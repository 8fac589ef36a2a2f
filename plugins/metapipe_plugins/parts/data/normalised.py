"""The setting that normalises the channels of pictures, alike in every data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from metapipe import SettingError, Source
from metapipe.data import ImageSource, Moments, NormalisedSource

Normalise = Annotated[
    Literal["none", "train"] | Moments,
    Field(
        description="What is done to pixels in [0, 1], channel by channel, after "
        "whatever augments them: nothing; or a mean is subtracted, and the rest "
        "divided by a deviation: those of all training pictures, or given as "
        '{"mean": [...], "deviation": [...]}. New pictures are treated alike.'
    ),
]


def normalised(
    source: Source, normalise: str | Moments, train: Callable[[], Source]
) -> Source:
    """The source with that done to its pictures; `train` opens the training ones, as
    they are. Raises SettingError for numbers of other channels."""
    if normalise == "none":
        return source
    if isinstance(normalise, Moments):
        moments = normalise
    else:
        opened = train()
        assert isinstance(opened, ImageSource), "of features this is refused before"
        moments = opened.moments()
    channels = source.facts.shape[0]
    if len(moments.mean) != channels:
        raise SettingError(
            f"dataset.normalise has {len(moments.mean)} means, and the pictures "
            f"{channels} channels: give one for each"
        )
    return NormalisedSource(source, moments)
