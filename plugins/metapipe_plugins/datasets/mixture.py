"""Several data sets at once: each episode is of one of them.

As Meta-Dataset's sampler does it: for each episode of a meta-batch a data set is drawn,
equally or by weight, then classes of that one alone. Each keeps its own splits. An
evaluation tells the accuracy for each of them, as `accuracy_of_NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PrivateAttr, ValidationInfo, model_validator

from metapipe import (
    Dataset,
    Kind,
    MetapipeError,
    Register,
    SettingError,
    Source,
    Split,
    hookimpl,
)
from metapipe.data import ImageEncoder, MixedSource, NormalisedSource, ResizedSource

Pixels = Annotated[int, Field(gt=0, le=4096)]


class Mixture(Dataset):
    """Episodes of several data sets of labelled items, each from one of them."""

    kind: ClassVar[Kind | None] = "classification"
    paper: ClassVar[str] = (
        "Triantafillou et al., Meta-Dataset, ICLR 2020, "
        "https://arxiv.org/abs/1903.03096"
    )
    departures: ClassVar[str] = (
        "ways and shots are those of [task] and [evaluation], which can draw them as "
        "Meta-Dataset does, within one range for all members, where the authors take "
        "what each has; what rounding leaves of a support set is shared out too; no "
        "hierarchy of classes is used"
    )

    members: tuple[str, ...] = Field(default=("digits", "glyphs"), min_length=2)
    """Names of the data sets."""

    weights: tuple[PositiveFloat, ...] = ()
    """How often an episode is of each, in their order; equally often if not given."""

    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of the members, by their names: {omniglot = {root = "PATH"}}."""

    size: tuple[Literal[1, 3], Pixels, Pixels] | None = None
    """Channels, height and width that all images are made; needed where the members
    have images of several shapes."""

    _datasets: Mapping[str, Dataset] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _made(self, info: ValidationInfo) -> Self:
        """The data sets, whose settings are refused now if they are wrong."""
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"members = {list(self.members)}: one is there twice")
        if self.weights and len(self.weights) != len(self.members):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.members)} members: give "
                "one of each, or none"
            )
        if unknown := sorted(set(self.settings) - set(self.members)):
            raise ValueError(f"settings of '{unknown[0]}', which is no member")
        return self if info.context is None else self._with_members(info.context)

    def _with_members(self, context: Mapping[str, Any]) -> Self:
        """With the members, and with their paths as they are wherever it is read."""
        try:
            made: dict[str, Dataset] = {
                name: context["dataset"](name, self.settings.get(name, {}))
                for name in self.members
            }
        except MetapipeError as error:
            raise ValueError(str(error)) from error
        whole = {
            name: made[name].model_dump(mode="json", include=set(given))
            for name, given in self.settings.items()
        }
        same = self.model_copy(update={"settings": whole})
        same._datasets = made
        return same

    def __eq__(self, other: object) -> bool:
        """Equal settings make equal data sets, whoever made them."""
        return isinstance(other, Mixture) and dict(other) == dict(self)

    __hash__ = Dataset.__hash__

    def check(self) -> None:
        """As each member does."""
        for dataset in self._datasets.values():
            dataset.check()
        if not self._datasets:
            raise SettingError(
                "the members of a mixture are known to a registry alone: create it by "
                "one"
            )

    def open(self, split: Split) -> Source:
        """The split of each member, in one size."""
        self.check()
        sources = {k: self._sized(k, v.open(split)) for k, v in self._datasets.items()}
        shapes = {name: source.facts.shape for name, source in sources.items()}
        if len(set(shapes.values())) > 1:
            told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            largest = list(max(shapes.values()))
            raise SettingError(
                f"the members have inputs of several shapes ({told}): have all images "
                f"made one size, as by -s 'dataset.size={largest}'"
            )
        return MixedSource(sources, self.weights or (1.0,) * len(sources))

    def _sized(self, name: str, source: Source) -> Source:
        """Its images in the size that is asked for."""
        if self.size is None or source.facts.shape == self.size:
            return source
        if isinstance(source, NormalisedSource):
            raise SettingError(
                f"dataset.size: images of {name} are normalised before they are made "
                "one size; leave out its setting normalise"
            )
        channels, height, width = self.size
        encoder = source.facts.encoder
        if isinstance(encoder, ImageEncoder):
            size = {"channels": channels, "height": height, "width": width}
            encoder = encoder.model_copy(update=size)
        return ResizedSource(source, self.size, encoder)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer it."""
    register("mixture", Mixture)
