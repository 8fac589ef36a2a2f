"""Images whose channels have a mean subtracted and are divided by a deviation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from ..dataset import Source, SourceFacts
from ..episode import Episodes, Samples, Task
from .image_encoder import ImageEncoder, Moments


@dataclass(frozen=True)
class NormalisedSource(Source):
    """The episodes of a source of images in [0, 1], with normalised channels."""

    source: Source
    moments: Moments

    @cached_property
    def facts(self) -> SourceFacts:
        """The source's, with an encoder that normalises as well. The fingerprint too:
        it decides which items an episode has."""
        facts = self.source.facts
        if not isinstance(facts.encoder, ImageEncoder):
            return facts
        encoder = facts.encoder.model_copy(update={"moments": self.moments})
        return replace(facts, encoder=encoder)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """The source's: of the images as they are kept."""
        return self.source.digests()

    def check(self, task: Task) -> None:
        """As the source does."""
        self.source.check(task)

    def part(self, task: Task) -> str | None:
        """As the source says."""
        return self.source.part(task)

    def joined(self, other: Source) -> Source:
        """The sources joined, and the same done to all of their images."""
        plain = other.source if isinstance(other, type(self)) else other
        return replace(self, source=self.source.joined(plain))

    def on(self, device: str) -> Self:
        """With the source there, where its images are normalised too."""
        return replace(self, source=self.source.on(device))

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The source's episodes: support (T, n, C, H, W), query alike."""
        drawn = self.source.draw(tasks)
        return drawn._replace(
            support=self._normalised(drawn.support),
            query=self._normalised(drawn.query),
        )

    def _normalised(self, samples: Samples) -> Samples:
        return samples._replace(inputs=self.moments.normalised(samples.inputs))


def pictures(source: Source, episodes: Episodes) -> Episodes:
    """Episodes of the source with images in [0, 1] again, to be looked at."""
    if not isinstance(source, NormalisedSource):
        return episodes
    support, query = (
        samples._replace(inputs=source.moments.restored(samples.inputs))
        for samples in (episodes.support, episodes.query)
    )
    return episodes._replace(support=support, query=query)
