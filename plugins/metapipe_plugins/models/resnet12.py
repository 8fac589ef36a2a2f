"""ResNet-12: the residual network of MetaOptNet and much that followed.

Lee, Maji, Ravichandran & Soatto, "Meta-Learning with Differentiable Convex
Optimization", CVPR 2019, section 4.1, with the details of their code.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from metapipe import (
    DropShare,
    Model,
    Register,
    Statistics,
    UnsupportedError,
    hookimpl,
    load_weights,
)
from metapipe.numerics import BatchNorm


class ResNet12(Model):
    """Residual blocks of three 3x3 convolutions, each halving the map."""

    paper: ClassVar[str] = "Lee et al., CVPR 2019, https://arxiv.org/abs/1904.03758"

    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (
        64,
        160,
        320,
        640,
    )
    """Channels of each block."""

    features: Literal["flatten", "mean"] = "flatten"
    """How the last map becomes a vector; MetaOptNet does not average."""

    dropout: DropShare = 0.1
    """Share of values dropped after all blocks but the last two, in training. Dropout
    and DropBlock need running statistics: with batch statistics, which are the same in
    training and use, there is neither."""

    dropblock: DropShare = 0.1
    """Share of the map that DropBlock drops after the last two blocks, in the end."""

    block_size: PositiveInt = 5
    """Side of the squares that DropBlock drops; 2 for CIFAR."""

    dropblock_ramp: PositiveInt = 20_000
    """Forward passes over which DropBlock's share grows from 0. MetaOptNet's 20 epochs
    of 1,000 iterations: there are two passes an iteration in its code, and one here."""

    weights: Path | None = None
    """A safetensors file of values to begin with, by the network's names, or a run's
    checkpoint; what it does not name begins as usual."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, channels, height, width) -> (n, outputs), or features (n, d)."""
        size = self._feature_size(shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inside = shape[0]
        for number, outside in enumerate(self.widths, start=1):
            layers[f"block{number}"] = Block(inside, outside, statistics)
            if statistics == "running":
                layers[f"drop{number}"] = self._drop(len(self.widths) - number)
            inside = outside
        if self.features == "mean":
            layers["mean"] = nn.AdaptiveAvgPool2d(1)
        layers["features"] = nn.Flatten()
        if outputs is not None:
            layers["head"] = nn.Linear(size, outputs)
        return Network(layers)

    def initialise(self, network: nn.Module) -> None:
        """From the file of `weights`, if there is one."""
        for module in network.modules():
            if self.weights is not None and isinstance(module, Network):
                load_weights(module, self.weights)

    def _feature_size(self, shape: tuple[int, ...]) -> int:
        if len(shape) != 3:
            raise UnsupportedError(
                f"resnet12 takes images (channels, height, width), not inputs of shape "
                f"{shape}: choose --model mlp, or residual-mlp for a backbone's"
            )
        height, width = (side >> len(self.widths) for side in shape[1:])
        if not height or not width:
            raise UnsupportedError(
                f"images of {shape[1]}x{shape[2]} vanish in {len(self.widths)} blocks: "
                "use fewer with -s model.widths=[64,160,320]"
            )
        return self.widths[-1] * (height * width if self.features == "flatten" else 1)

    def _drop(self, blocks_to_come: int) -> nn.Module:
        if blocks_to_come >= 2:
            return nn.Dropout(self.dropout)
        return DropBlock(self.dropblock, self.block_size, self.dropblock_ramp)


class Network(nn.Sequential):
    """What resnet12 builds, known again inside an algorithm's network."""


class Block(nn.Module):
    """Three convolutions and a shortcut, then pooling."""

    def __init__(self, inside: int, outside: int, statistics: Statistics) -> None:
        super().__init__()

        def convolution(channels: int, kernel: int) -> nn.Sequential:
            conv = nn.Conv2d(channels, outside, kernel, padding=kernel // 2, bias=False)
            nn.init.kaiming_normal_(
                conv.weight, mode="fan_out", nonlinearity="leaky_relu"
            )
            norm = BatchNorm(outside, statistics)
            return nn.Sequential(OrderedDict(conv=conv, norm=norm))

        self.first = convolution(inside, 3)
        self.second = convolution(outside, 3)
        self.third = convolution(outside, 3)
        self.shortcut = convolution(inside, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, outside, h // 2, w // 2)."""
        hidden = F.leaky_relu(self.first(maps), 0.1)
        hidden = F.leaky_relu(self.second(hidden), 0.1)
        hidden = self.third(hidden) + self.shortcut(maps)
        return F.max_pool2d(F.leaky_relu(hidden, 0.1), 2)


class DropBlock(nn.Module):
    """Drops squares of a map (Ghiasi, Lin & Le, NeurIPS 2018), ever more of them."""

    passes: Tensor

    def __init__(self, share: float, size: int, ramp: int) -> None:
        super().__init__()
        self.share, self.size, self.ramp = share, size, ramp
        self.stochastic = share > 0
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, in training with squares of zeros."""
        if not self.training or not self.share:
            return maps
        self.passes += 1
        height, width = maps.shape[-2:]
        size = min(self.size, height, width)
        valid = (height - size + 1) * (width - size + 1)
        share = self.share * (self.passes / self.ramp).clamp(max=1)
        rate = share / size**2 * (height * width) / valid
        shape = (*maps.shape[:2], height - size + 1, width - size + 1)
        corners = (torch.rand(shape, device=maps.device) < rate).to(maps.dtype)
        reach = size - 1
        dropped = F.max_pool2d(F.pad(corners, (reach,) * 4), size, stride=1)
        kept = 1 - dropped
        return maps * kept * (kept.numel() / kept.sum().clamp(min=1))


@hookimpl
def register_models(register: Register) -> None:
    """Offer ResNet-12."""
    register("resnet12", ResNet12)
