"""Images of one data set in the shape that a run learned on another."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..dataset import Source, SourceFacts
from ..encoder import Encoder
from ..episode import Episodes, Samples, Task
from ..problem import Problem
from .image_encoder import ImageEncoder
from .normalised_source import NormalisedSource

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601), as Pillow makes grey of colours."""

GREY, COLOUR = 1, 3
logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class ResizedSource(Source):
    """The episodes of a source, with images of another size and number of channels."""

    source: Source
    wanted: tuple[int, ...]
    """(channels, height, width)."""

    encoder: Encoder | None = None
    """What makes such inputs of new images, if they may be made at once."""

    @cached_property
    def facts(self) -> SourceFacts:
        """The source's, but for the shape and the encoder, whose items have it.

        The fingerprint too: it decides which items an episode has.
        """
        return replace(self.source.facts, shape=self.wanted, encoder=self.encoder)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the source's own items, before they are resized."""
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

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The source's episodes: support (T, n, *wanted), query alike."""
        drawn = self.source.draw(tasks)
        support, query = (
            Samples(resize(samples.inputs, self.wanted), samples.targets)
            for samples in (drawn.support, drawn.query)
        )
        return drawn._replace(support=support, query=query)


def fitted(
    source: Source, problem: Problem, name: str, encoder: Encoder | None = None
) -> Source:
    """`source`, called `name`, or its images in the shape of `problem` where both are
    images, normalised as the `encoder` of the learner does; what does not fit at all
    comes back as it is."""
    if not isinstance(encoder, ImageEncoder):
        return _resized(source, problem, name)
    plain = source.source if isinstance(source, NormalisedSource) else source
    resized = _resized(plain, problem, name)
    moments = encoder.moments
    return resized if moments is None else NormalisedSource(resized, moments)


def _resized(source: Source, problem: Problem, name: str) -> Source:
    if source.facts.shape == problem.shape or source.facts.kind != problem.kind:
        return source
    if not (_are_images(source.facts.shape) and _are_images(problem.shape)):
        return source
    logger.info("%s: images %s made %s", name, source.facts.shape, problem.shape)
    return ResizedSource(source, problem.shape)


def resize(images: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """(..., C, H, W) in [0, 1] to (..., *wanted): antialiased bilinear interpolation,
    without keeping proportions. Colours become grey by their luma."""
    flat = images.flatten(0, -4)
    channels, *size = wanted
    if flat.shape[1] == COLOUR and channels == GREY:
        weights = torch.tensor(LUMA, dtype=flat.dtype, device=flat.device)
        flat = torch.einsum("nchw,c->nhw", flat, weights)[:, None]
    if flat.shape[-2:] != tuple(size):
        flat = F.interpolate(
            flat, size, mode="bilinear", align_corners=False, antialias=True
        )
    return flat.expand(-1, channels, -1, -1).reshape(*images.shape[:-3], *wanted)


def _are_images(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (GREY, COLOUR)
