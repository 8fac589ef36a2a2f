"""R2-D2's own network: wide convolutions, with the last two maps as features.

Bertinetto, Henriques, Torr & Vedaldi, "Meta-learning with differentiable closed-form
solvers", ICLR 2019, section 5 and the authors' code.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from metapipe import DropShare, Model, Register, Statistics, UnsupportedError, hookimpl
from metapipe.numerics import BatchNorm
from metapipe_plugins.parts.networks.first_block import FirstBlock

SLOPE = 0.1
"""Of LeakyReLU below zero."""


class R2D2Net(Model):
    """Blocks of 3x3 convolution, normalisation, 2x2 pooling and LeakyReLU; the features
    are the maps of the last two. The last block pools by steps of one, and so does the
    one before once more, which makes the two maps equal in size."""

    paper: ClassVar[str] = (
        "Bertinetto, Henriques, Torr & Vedaldi, ICLR 2019, "
        "https://arxiv.org/abs/1805.08136"
    )

    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (
        96,
        192,
        384,
        512,
    )
    """Channels of each block; 64 each is the paper's small network."""

    dropout: DropShare = 0.1
    """Share of values dropped after each of the last two blocks, in training: 0.1 for
    mini-ImageNet, 0.4 for CIFAR-FS, 0 for Omniglot. Needs running statistics: with
    batch statistics, which are the same in training and use, there is none."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, channels, height, width) -> (n, outputs), or features (n, d)."""
        size = self._feature_size(shape)
        dropout = self.dropout if statistics == "running" else 0.0
        layers = OrderedDict[str, nn.Module](
            maps=TwoMaps(shape[0], self.widths, dropout, statistics),
        )
        if outputs is not None:
            layers["head"] = nn.Linear(size, outputs)
        return nn.Sequential(layers)

    def _feature_size(self, shape: tuple[int, ...]) -> int:
        """Length of the feature vector: 72,576 for 84x84, 3,584 for 28x28."""
        if len(shape) != 3:
            raise UnsupportedError(
                f"r2d2net takes images (channels, height, width), not inputs of shape "
                f"{shape}: choose --model mlp, or residual-mlp for a backbone's"
            )
        halvings = len(self.widths) - 1
        height, width = ((side >> halvings) - 1 for side in shape[1:])
        if height < 1 or width < 1:
            raise UnsupportedError(
                f"images of {shape[1]}x{shape[2]} vanish in {len(self.widths)} blocks: "
                "use fewer with -s model.widths=[96,192,384]"
            )
        return sum(self.widths[-2:]) * height * width


class TwoMaps(nn.Module):
    """All blocks; the last two maps, flattened, as one vector."""

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        dropout: float,
        statistics: Statistics,
    ) -> None:
        super().__init__()
        pairs = list(pairwise((channels, *widths)))
        dropouts = [0.0] * (len(pairs) - 2) + [dropout] * 2
        blocks = [
            _block(*pair, 1 if pair is pairs[-1] else 2, share, statistics)
            for pair, share in zip(pairs, dropouts, strict=True)
        ]
        self.blocks = nn.Sequential(*blocks[:-1])
        self.last = blocks[-1]
        self.pool = nn.MaxPool2d(2, stride=1)

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, d)."""
        before = self.blocks(images)
        maps = (self.pool(before), self.last(before))
        return torch.cat([each.flatten(1) for each in maps], 1)


def _block(
    inside: int, outside: int, stride: int, dropout: float, statistics: Statistics
) -> nn.Module:
    conv = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    norm = BatchNorm(outside, statistics)
    pool, relu = nn.MaxPool2d(2, stride=stride), nn.LeakyReLU(SLOPE)
    if FirstBlock.pays(conv) and not dropout:
        return FirstBlock(conv, norm, pool, relu)
    layers = OrderedDict[str, nn.Module](conv=conv, norm=norm, pool=pool, relu=relu)
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


@hookimpl
def register_models(register: Register) -> None:
    """Offer R2-D2's network."""
    register("r2d2net", R2D2Net)
