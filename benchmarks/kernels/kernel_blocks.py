"""Blocks of conv4 whose operations are the kernels'; their parameters are conv4's own.

The first block takes images and the last one returns torch's maps; between them maps
lie otherwise, and are handed on as `Maps`, which no other module takes for a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from kernel_functions import begun, bordered, convolved, normalised, patch_moments
from torch import Tensor, nn

from metapipe import UnsupportedError
from metapipe.numerics import BatchNorm

INSTEAD = "--model conv4 -s model.pooling=max"
"""The same network without the kernels."""


@dataclass(frozen=True)
class Maps:
    """Maps as the kernels have them."""

    tensor: Tensor
    """(n, h + 2, w + 2, 64), with a border of zeros."""

    def of_torch(self) -> Tensor:
        """(n, 64, h, w)."""
        return self.tensor[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


class _Block(nn.Module):
    """A block's parameters, under conv4's names."""

    def __init__(self, conv: nn.Conv2d, norm: BatchNorm, *, last: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.last = conv, norm, last

    def _scale(self) -> Tensor:
        """(64,): the learned one, or ones."""
        shift: Tensor = self.norm.bias
        return self.norm.weight if self.norm.affine else torch.ones_like(shift)


class FirstFusedBlock(_Block):
    """Of images, by mean and covariance of what the convolution sees of them."""

    def forward(self, images: Tensor) -> Maps | Tensor:
        """(n, c, h, w) -> maps of half the size.

        Raises UnsupportedError where the kernels do not serve.
        """
        require_served(images, self.conv.weight)
        with torch.no_grad():
            images = bordered(images)
            mean, covariance = patch_moments(images)
        kernel = self.conv.weight.permute(2, 3, 1, 0).flatten(0, 2)
        variance = (kernel * (covariance @ kernel)).sum(0)
        scale = torch.rsqrt(variance + self.norm.eps) * self._scale()
        shift = torch.addcmul(self.norm.bias, mean @ kernel, scale, value=-1)
        found = Maps(begun(images, kernel * scale, shift))
        return found.of_torch() if self.last else found


class FusedBlock(_Block):
    """Of maps."""

    def forward(self, maps: Maps) -> Maps | Tensor:
        """Maps of half the size; the last block's are torch's, (n, 64, h, w)."""
        found = normalised(
            convolved(maps.tensor, self.conv.weight),
            *(self._scale(), self.norm.bias, self.norm.eps),
            margin=0 if self.last else 1,
        )
        return found.permute(0, 3, 1, 2) if self.last else Maps(found)


def require_served(images: Tensor, weights: Tensor) -> None:
    """Raise UnsupportedError, in a line with what to do, for what the kernels are not
    for, and cannot see in what they are handed."""
    if torch.compiler.is_compiling():
        raise UnsupportedError(
            "conv4-fused is not for torch.export and torch.compile, which do not see "
            f"into its kernels: a checkpoint of it loads in {INSTEAD}"
        )
    kind = images.device.type
    if kind not in ("cpu", "meta"):
        raise UnsupportedError(
            f"conv4-fused computes on the CPU, not on {kind}: use --device cpu, or "
            + INSTEAD
        )
    if torch.is_autocast_enabled(kind):
        raise UnsupportedError(
            "conv4-fused computes in float32, and run.precision = 'bfloat16': use -s "
            f"run.precision=float32, or {INSTEAD}"
        )
    if images.requires_grad:
        raise UnsupportedError(
            "conv4-fused has no gradient by its images, and somebody asks for one: use "
            + INSTEAD
        )
    if _vectorised(images) or _vectorised(weights):
        raise UnsupportedError(
            "conv4-fused goes through its kernels task by task, not under vmap: use "
            f"--mapping loop or --mapping threads, or {INSTEAD}"
        )


def _vectorised(tensor: Tensor) -> bool:
    """Whether it stands for many, or for one that torch.func differentiates: it has no
    address then."""
    try:
        return not tensor.is_meta and not tensor.data_ptr() and tensor.numel() > 0
    except RuntimeError:
        return True
