"""Histograms of oriented gradients: pictures as vectors without any weights.

Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005: the
strengths of a grey picture's edges, counted by direction in square cells, and each
block of 2 x 2 cells brought to one length. Votes are shared between neighbouring
directions, but not between neighbouring cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from metapipe import (
    Backbone,
    Register,
    RegisterEncoder,
    hookimpl,
)
from metapipe.data import FeatureEncoder, Fit, ImageEncoder

VERSION = 1
"""Of the computation: another one makes other vectors of the same settings."""

BLOCK = 2
"""Cells of a block along each side."""

CLIP = 0.2
"""The most that one direction may have of a block's length."""

FAINT = 0.01
"""Edges of this strength, of pixels in [0, 1], begin to count: noise does not."""


class Histograms(nn.Module):
    """Pictures (n, 1, h, w) in [0, 1] -> (n, d): see `histograms`."""

    def __init__(self, cell: int, directions: int) -> None:
        super().__init__()
        self.cell, self.directions = cell, directions

    def forward(self, pictures: Tensor) -> Tensor:
        """Each for itself."""
        return histograms(pictures, self.cell, self.directions)


class GradientEncoder(FeatureEncoder):
    """A picture as histograms of its oriented gradients."""

    type: Literal["gradients"] = "gradients"
    cell: int = Field(ge=2)
    directions: int = Field(ge=2)

    def digest(self) -> str:
        """SHA-256 of settings, constants and version."""
        return self.hash_of(VERSION, BLOCK, CLIP, FAINT)

    def network(self) -> Histograms:
        """It has no weights."""
        return Histograms(self.cell, self.directions).eval()

    def weights(self) -> Mapping[str, Tensor]:
        """There are none."""
        return {}


class Gradients(Backbone):
    """Pictures as histograms of oriented gradients: no weights, no download."""

    paper: ClassVar[str] = (
        "Dalal & Triggs, CVPR 2005, https://doi.org/10.1109/CVPR.2005.177"
    )
    licence: ClassVar[str] = "MIT, as metapipe: there are no weights"
    source: ClassVar[str] = "computed here"

    size: int = Field(default=96, ge=8, le=1024)
    """Height and width that a picture is brought to, in pixels."""

    cell: int = Field(default=16, ge=2)
    """Pixels of a cell along each side."""

    directions: int = Field(default=9, ge=2, le=36)
    """Directions of edges, over half a turn, that are told apart."""

    fit: Fit = "crop"
    """What is done to other aspect ratios: cut out the middle, stretch, or pad."""

    @model_validator(mode="after")
    def _has_a_block(self) -> Self:
        if self.size < BLOCK * self.cell:
            raise ValueError(
                f"cells of {self.cell} pixels need a size of at least "
                f"{BLOCK * self.cell}"
            )
        return self

    def encoder(self) -> GradientEncoder:
        """Of grey pictures, with the hash of settings and version."""
        image = ImageEncoder(
            height=self.size, width=self.size, channels=1, fit=self.fit
        )
        blocks = (self.size // self.cell - BLOCK + 1) ** 2
        return GradientEncoder.of(
            image=image,
            width=blocks * BLOCK**2 * self.directions,
            cell=self.cell,
            directions=self.directions,
        )


def histograms(grey: Tensor, cell: int, directions: int) -> Tensor:
    """Pictures (n, 1, h, w) in [0, 1] -> (n, d), block after block, in each direction
    after direction, in each cell after cell."""
    across = F.pad(grey[..., 2:] - grey[..., :-2], (1, 1, 0, 0))
    down = F.pad(grey[..., 2:, :] - grey[..., :-2, :], (0, 0, 1, 1))
    turn = torch.atan2(down, across) / math.pi % 1  # an edge has no sign
    middles = torch.arange(directions)[:, None, None] + 0.5
    apart = (turn * directions - middles).abs()
    apart = torch.minimum(apart, directions - apart)
    votes = torch.hypot(across, down) * (1 - apart).clamp(min=0)
    blocks = F.unfold(F.avg_pool2d(votes, cell), BLOCK).mT
    return _of_length_one(_of_length_one(blocks).clamp(max=CLIP)).flatten(1)


def _of_length_one(blocks: Tensor) -> Tensor:
    """Blocks (..., d) divided by their lengths, unless they are faint."""
    return blocks / (blocks.square().sum(-1, keepdim=True) + FAINT**2).sqrt()


@hookimpl
def register_encoders(register: RegisterEncoder) -> None:
    """Offer the encoder, which adapted models are kept with."""
    register("gradients", GradientEncoder)


@hookimpl
def register_backbones(register: Register) -> None:
    """Offer histograms of gradients."""
    register("gradients", Gradients)
