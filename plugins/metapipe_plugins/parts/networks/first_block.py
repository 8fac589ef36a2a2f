"""The first block of a network for images, by a shorter way.

Images have one channel or three, and the block's maps many: most of the time goes into
reading and writing them. The patches that a 3x3 convolution sees are few numbers each,
so it is a product of matrices; mean and variance of its maps follow from mean and
covariance of the patches; and normalisation keeps the order of values, up to the sign
of its scale, so what pooling drops need not be normalised. Exact, in all derivatives.

For processors only, where it was measured to pay: a GPU reads and writes maps quickly.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe.numerics import BatchNorm, exactly


class FirstBlock(nn.Module):
    """3x3 convolution with padding, batch normalisation, pooling by maximum and a
    monotone activation."""

    def __init__(
        self, conv: nn.Conv2d, norm: BatchNorm, pool: nn.MaxPool2d, relu: nn.Module
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.pool, self.relu = conv, norm, pool, relu

    @staticmethod
    def pays(conv: nn.Conv2d) -> bool:
        """Whether a patch has fewer numbers than its maps."""
        return conv.weight[0].numel() <= conv.out_channels

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, width, h // 2, w // 2)."""
        if images.device.type != "cpu":
            plain: Tensor = self.relu(self.pool(self.norm(self.conv(images))))
            return plain
        patches = _patches(images)
        # In rows: where it lies in columns, torch takes its gradient by a product of
        # matrices that takes ten times as long.
        kernel = self.conv.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        signs = self._signs()
        maps = (patches @ (kernel * signs)).permute(0, 3, 1, 2)
        largest = self.pool(maps) * signs.view(-1, 1, 1)
        moments = partial(_moments, patches.flatten(0, 2), kernel)
        found = self.norm.normalise(
            largest,
            lambda: exactly(moments, images.device.type),
            count=patches.shape[:3].numel(),
        )
        activated: Tensor = self.relu(found)
        return activated

    def _signs(self) -> Tensor:
        """Of the scale, (width,): where it is negative, the least value becomes the
        largest."""
        ones = torch.ones_like(self.norm.bias)
        return (
            torch.where(self.norm.weight < 0, -ones, ones) if self.norm.affine else ones
        )


def _patches(images: Tensor) -> Tensor:
    """What the convolution sees of (n, c, h, w): (n, h, w, 9 c), the row of the patch
    first, then its column, then the channel."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    shifted = [
        padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    return torch.cat(shifted, -1)


def _moments(patches: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance, (width,) each, of `patches @ kernel`, which is (m, width)."""
    mean = patches.mean(0)
    centred = patches - mean
    covariance = centred.T @ centred / len(patches)
    return mean @ kernel, (kernel * (covariance @ kernel)).sum(0)
