"""The settings of a run that belong to no plugin.

Each field is the only definition of its setting: `metapipe train --help`, the config
file, the docs and the run record come from here.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, Self

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from .device_name import DEVICE, no_device
from .printable import printable
from .section import NonNegativeInt, PositiveInt, Section

LONGEST_NAME = 200
"""Characters in the name of a run: what every database has room for."""

SUPPORT = "evaluation.support"
"""Name, with the settings of an evaluation, of the most support examples in all, where
its classes have unequal numbers."""


class RunSettings(Section):
    """`[run]`: what is run, and where."""

    algorithm: str = "maml"
    """The algorithm plugin (`--plugin` is the same)."""

    model: str = "conv4"
    """The model plugin."""

    dataset: str = "glyphs"
    """The data set plugin."""

    name: str | None = None
    """A name to find the run by."""

    seed: NonNegativeInt = 0
    """Decides initial parameters and training episodes."""

    start_from: str | None = None
    """Begin with the parameters of a run: its number or name. Everything else is this
    run's own."""

    start_checkpoint: Literal["best", "latest"] = "best"
    """Which checkpoint of it; best is by validation, latest if there was none."""

    observers: tuple[str, ...] = ()
    """Observer plugins that are told of the run, such as trackers; none if not given.
    They have no part in what is learned."""

    @field_validator("observers", mode="before")
    @classmethod
    def _as_list(cls, names: object) -> object:
        """One name is a list of one."""
        return (names,) if isinstance(names, str) else names

    @field_validator("observers")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Nobody is told twice."""
        return tuple(dict.fromkeys(names))

    @field_validator("start_from", mode="before")
    @classmethod
    def _as_text(cls, run: object) -> object:
        """A number is a name of a run too."""
        return str(run) if type(run) is int else run

    @field_validator("name")
    @classmethod
    def _findable(cls, name: str | None) -> str | None:
        """RUN on the command line is an id, a name, or `latest`."""
        if name is None:
            return None
        name = unicodedata.normalize("NFC", name.strip())
        if name.isdecimal() or name in ("", "latest"):
            raise ValueError("a name is neither a number nor 'latest' nor empty")
        if len(name) > LONGEST_NAME:
            raise ValueError(
                f"a name has {LONGEST_NAME} characters at most, not {len(name)}"
            )
        if printable(name) != name:
            raise ValueError("a name has no line breaks, controls or invisible signs")
        return name

    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps; auto takes the first of CUDA, MPS, CPU."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise ValueError(no_device(device))
        return device

    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """What networks compute in; tf32 (of NVIDIA GPUs only) and bfloat16 have to give
    the meta-gradient of float32 on the first meta-batch, to a cosine of 0.99, and are
    refused otherwise. Adapted models compute in float32."""


class TaskSettings(Section):
    """`[task]`: the shape of a training episode."""

    ways: PositiveInt = 5
    """Classes in an episode."""

    ways_to: PositiveInt | None = None
    """Draw the ways of each meta-batch between `ways` and this; of each of its parts,
    where `training.shards` are more: of each episode with as many shards as tasks."""

    shots: NonNegativeInt = 1
    """Support examples a class; their mean, if `support` is given."""

    shots_to: PositiveInt | None = None
    """Draw the shots of each meta-batch between `shots` and this, as ways are."""

    queries: PositiveInt = 15
    """Query examples a class."""

    support: PositiveInt | None = None
    """The most support examples in all: classes then have unequal numbers, 1 or more
    each, drawn as in Meta-Dataset."""

    images: PositiveInt | None = None
    """Items in a training episode in all, whatever its ways and shots: each class has
    what its support leaves, `images` / ways - shots, for queries, and not `queries`."""

    def queries_of(self, ways: int, shots: int) -> int:
        """Query examples a class in a training episode of that shape."""
        return self.queries if self.images is None else self.images // ways - shots

    @property
    def most_ways(self) -> int:
        """The largest number of classes in an episode."""
        return self.ways if self.ways_to is None else self.ways_to

    @property
    def most_shots(self) -> int:
        """The largest number of support examples a class."""
        return self.shots if self.shots_to is None else self.shots_to

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("ways", "shots"):
            least, most = getattr(self, name), getattr(self, f"{name}_to")
            if most is not None and most < least:
                raise ValueError(f"{name}_to = {most} is less than {name} = {least}")
        return self

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
        if self.queries_of(self.most_ways, self.most_shots) < 1:
            least = self.most_ways * (self.most_shots + 1)
            raise ValueError(
                f"images = {self.images} leave {self.most_ways} classes of "
                f"{self.most_shots} shots no query: give {least} at least"
            )
        return self


class EvaluationSettings(Section):
    """`[evaluation]`: episodes of unseen classes, drawn after training."""

    split: Literal["train", "val", "test"] = "test"
    """Which classes."""

    episodes: PositiveInt = 600
    """How many episodes."""

    seed: NonNegativeInt = 0
    """Seed of the episodes: the same for every run that is to be compared."""

    ways: PositiveInt | None = None
    """Classes in an episode; as in training if not given."""

    ways_to: PositiveInt | None = None
    """Draw the ways of each episode between `ways` and this."""

    shots: NonNegativeInt | None = None
    """Support examples a class; as in training if not given."""

    shots_to: PositiveInt | None = None
    """Draw the shots of each episode between `shots` and this."""

    queries: PositiveInt | None = None
    """Query examples a class; as in training if not given."""

    support: PositiveInt | None = None
    """The most support examples in all: classes then have unequal numbers with the mean
    `shots`, 1 or more each, drawn as in Meta-Dataset."""

    prediction: Literal["together", "alone"] = "together"
    """With batch statistics: all queries in one batch (transductive), or each one alone
    with the support set (inductive)."""

    checkpoint: Literal["best", "latest"] = "best"
    """Which checkpoint; best is by validation, latest if there was none."""

    ensemble: PositiveInt = Field(default=1, le=100)
    """Mean outputs of so many of the best checkpoints, as MAML++ is tested: each adapts
    by itself. A run keeps as many as `training.keep_best`."""

    @model_validator(mode="after")
    def _of_the_best(self) -> Self:
        if self.ensemble > 1 and self.checkpoint != "best":
            raise ValueError(
                f"ensemble = {self.ensemble} is of the best checkpoints, not of the "
                f"{self.checkpoint}: leave one of the two out"
            )
        return self
