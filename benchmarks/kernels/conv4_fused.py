"""conv4 with pooling, whose blocks are a kernel each: a plugin that is off by default.

    metapipe --plugin-path benchmarks/kernels/conv4_fused.py train --plugin maml \
        --model conv4-fused --dataset glyphs -s model.features=flatten

On a CPU, with pooling by maximum, batch statistics and 32 or 64 channels. Parameters
have the names and shapes of conv4's, so that `metapipe.load_weights` of one loads in
the other. What it gives is in benchmarks/LOG.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar, Literal, cast

from torch import nn

from metapipe import Register, Statistics, UnsupportedError, hookimpl
from metapipe.numerics import BatchNorm
from metapipe_plugins.models.conv4 import Conv4

sys.path.append(str(Path(__file__).parent))  # a plugin file finds no files beside it

from kernel_blocks import FirstFusedBlock, FusedBlock
from kernel_library import INSTEAD, library

contract = 1

WIDTHS = 32, 64
"""Channels that there are kernels for: the papers' two networks."""

IMAGE_CHANNELS = 3
"""As many as the first block's kernels take."""


class Conv4Fused(Conv4):
    """conv4 with pooling by maximum, computed by kernels of its own on a CPU."""

    departures: ClassVar[str] = Conv4.departures + (
        "; computed by kernels that a C++ compiler makes here, in another order: equal "
        "to conv4 with pooling=max up to rounding"
    )

    pooling: Literal["stride", "max"] = "max"
    """How a block halves its map: by 2x2 maximum, and not by a stride."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, channels, height, width) -> (n, outputs), or features (n, d) or
        (n, width, h, w)."""
        self._require_served()
        _require_batch(statistics)
        if len(shape) == 3:  # conv4 says what is wrong with others
            self._require_images(*shape)
        network = cast(nn.Sequential, super().build(shape, outputs, statistics))
        for number in range(1, self.blocks + 1):
            name, kind = f"block{number}", FusedBlock if number > 1 else FirstFusedBlock
            plain = network.get_submodule(name)
            conv, norm = cast(nn.Conv2d, plain.conv), cast(BatchNorm, plain.norm)
            setattr(network, name, kind(conv, norm, last=number == self.blocks))
        if not network.get_parameter("block1.conv.weight").is_meta:
            library(self.width)  # built, or refused, before anything is trained
        return network

    def _require_served(self) -> None:
        """Raise UnsupportedError for a setting of conv4's that there is no kernel
        for."""
        served = {
            "width": min(WIDTHS, key=lambda width: abs(width - self.width)),
            "pooling": "max",
            "ceil": False,
            "normalise": True,
            "norm": "batch",
        }
        for name, value in served.items():
            given = getattr(self, name)
            if given != value:
                raise UnsupportedError(
                    f"conv4-fused has no kernels for model.{name} = {_written(given)}: "
                    f"use -s model.{name}={_written(value)}, or --model conv4"
                )

    def _require_images(self, channels: int, height: int, width: int) -> None:
        """Raise UnsupportedError for images of many channels, and for those that
        vanish: `ceil`, which conv4 advises then, has no kernels."""
        if channels > IMAGE_CHANNELS:
            raise UnsupportedError(
                f"conv4-fused takes images of at most {IMAGE_CHANNELS} channels, not "
                f"{channels}: use {INSTEAD}"
            )
        most = min(height, width).bit_length() - 1
        if self.blocks > most:
            advice = f"at most -s model.blocks={most}, or " if most else ""
            raise UnsupportedError(
                f"images of {height}x{width} vanish in {self.blocks} pooled blocks: "
                f"use {advice}{INSTEAD} -s model.ceil=true"
            )


def _require_batch(statistics: Statistics) -> None:
    if statistics != "batch":
        raise UnsupportedError(
            "conv4-fused normalises by the batch at hand, and the method asks for "
            f"algorithm.statistics = {statistics}: use -s algorithm.statistics=batch, "
            f"or {INSTEAD}"
        )


def _written(value: object) -> str:
    return str(value).lower()


@hookimpl
def register_models(register: Register) -> None:
    """Offer conv4-fused."""
    register("conv4-fused", Conv4Fused)
