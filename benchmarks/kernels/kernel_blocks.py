"""Blocks of conv4 whose operations are the kernels'; their parameters are conv4's own.

The first block takes images and the last one returns torch's maps; between them maps
lie otherwise, and are handed on as `Maps`, which no other module takes for a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kernel_functions import begun, bordered, convolved, normalised, patch_moments
from kernel_library import INSTEAD, TYPES
from torch import Tensor, nn

from metapipe import UnsupportedError
from metapipe.numerics import BatchNorm


@dataclass(frozen=True)
class Maps:
    """Maps as the kernels have them."""

    tensor: Tensor
    """(n, h + 2, w + 2, c), with a border of zeros."""

    def of_torch(self) -> Tensor:
        """(n, c, h, w)."""
        return self.tensor[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


class _Block(nn.Module):
    """A block's parameters, under conv4's names."""

    def __init__(self, conv: nn.Conv2d, norm: BatchNorm, *, last: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.last = conv, norm, last

    def _scale(self) -> Tensor:
        """(c,): the learned one, or ones."""
        shift: Tensor = self.norm.bias
        return self.norm.weight if self.norm.affine else torch.ones_like(shift)

    def _plain(self, maps: Tensor) -> Tensor:
        """By torch's operations: (n, c, h, w) -> (n, width, h // 2, w // 2)."""
        return F.max_pool2d(self.norm(self.conv(maps)), 2).relu()


class FirstFusedBlock(_Block):
    """Of images, by mean and covariance of what the convolution sees of them."""

    def forward(self, images: Tensor) -> Maps | Tensor:
        """(n, c, h, w) -> maps of half the size; torch's, if torch has to see into the
        operations, there are no images, or this is the last block.

        Raises UnsupportedError for what the kernels do not serve.
        """
        if torch_looks_inside(images) or not len(images):
            return self._plain(images)
        require_served(images, self.conv.weight)
        with torch.no_grad():
            images = bordered(images)
            mean, covariance = patch_moments(images, len(self.conv.weight))
        kernel = self.conv.weight.permute(2, 3, 1, 0).flatten(0, 2)
        variance = (kernel * (covariance @ kernel)).sum(0)
        scale = torch.rsqrt(variance + self.norm.eps) * self._scale()
        shift = torch.addcmul(self.norm.bias, mean @ kernel, scale, value=-1)
        found = Maps(begun(images, kernel * scale, shift))
        return found.of_torch() if self.last else found


class FusedBlock(_Block):
    """Of maps."""

    def forward(self, maps: Maps | Tensor) -> Maps | Tensor:
        """Maps of half the size; torch's, if these are or this is the last block."""
        if isinstance(maps, Tensor):
            return self._plain(maps)
        found = normalised(
            convolved(maps.tensor, self.conv.weight),
            *(self._scale(), self.norm.bias, self.norm.eps),
            margin=0 if self.last else 1,
        )
        return found.permute(0, 3, 1, 2) if self.last else Maps(found)


def torch_looks_inside(images: Tensor) -> bool:
    """Whether torch asks for the operations and not for their results alone: to export
    them, to predict many inputs each alone by vmap, or for shapes without values."""
    if torch.compiler.is_compiling() or images.is_meta:
        return True
    return _stands_for_others(images) and not torch.is_grad_enabled()


def require_served(images: Tensor, weights: Tensor) -> None:
    """Raise UnsupportedError, in a line with what to do, for what the kernels are not
    for and cannot see in what they are handed."""
    kind = images.device.type
    if kind != "cpu":
        raise UnsupportedError(
            f"conv4-fused computes on the CPU, not on {kind}: use --device cpu, or "
            + INSTEAD
        )
    if torch.is_autocast_enabled(kind):
        raise UnsupportedError(
            "conv4-fused computes in float32, not in run.precision = bfloat16: use -s "
            f"run.precision=float32, or {INSTEAD}"
        )
    if images.dtype not in TYPES or weights.dtype != images.dtype:
        raise UnsupportedError(
            f"conv4-fused computes in float32 or float64, not with {weights.dtype} on "
            f"images of {images.dtype}: use {INSTEAD}"
        )
    if images.requires_grad:
        raise UnsupportedError(
            f"conv4-fused has no gradient by its images: use {INSTEAD}"
        )
    if _stands_for_others(images) or _stands_for_others(weights):
        raise UnsupportedError(
            "vmap and torch.func do not see into conv4-fused's kernels: use --mapping "
            "loop or --mapping threads, or, if the method itself needs them, " + INSTEAD
        )


def _stands_for_others(tensor: Tensor) -> bool:
    """Whether vmap or torch.func put it in place of tensors: it has no address then."""
    try:
        tensor.data_ptr()
    except RuntimeError:
        return True
    return False
