"""The kernels as functions that torch differentiates, twice.

Maps are (n, h + 2, w + 2, c) with a border of zeros, their gradients as well. What a
function's `backward` computes is a function with a `backward` of its own, and that one
refuses to be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from kernel_library import INSTEAD, call, lying
from torch import Tensor
from torch.autograd import Function

from metapipe import UnsupportedError

BEHIND = 64
"""Numbers that kernels may read behind images, whose rows end within a vector."""


def _apply(function: type[Function], *arguments: Any) -> Any:
    """What torch leaves untyped."""
    return function.apply(*arguments)  # type: ignore[no-untyped-call]


def convolved(maps: Tensor, weights: Tensor) -> Tensor:
    """Maps by weights (c, c, 3, 3), padded by 1: maps, bordered as they are."""
    found: Tensor = _apply(_Convolution, lying(maps), lying(weights))
    return found


def normalised(
    maps: Tensor, scale: Tensor, shift: Tensor, epsilon: float, margin: int
) -> Tensor:
    """Maps by their batch's mean and variance, scaled and shifted by (c,) each, pooled
    and rectified: (n, h // 2 + 2 margin, w // 2 + 2 margin, c)."""
    found: Tensor = _apply(
        _Normalisation, lying(maps), lying(scale), lying(shift), epsilon, margin
    )
    return found


def begun(images: Tensor, kernel: Tensor, shift: Tensor) -> Tensor:
    """What is largest in 2 x 2 pixels of `bordered` images by a kernel (9 c, d) and a
    shift (d,), rectified: maps. Images have no gradient."""
    found: Tensor = _apply(_Beginning, images, lying(kernel), lying(shift))
    return found


def bordered(images: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c, h + 2, w + 2) with zeros around, and as many numbers
    behind as kernels may read there."""
    n, c, h, w = images.shape
    size = n * c * (h + 2) * (w + 2)
    out = images.new_zeros(size + BEHIND)[:size].view(n, c, h + 2, w + 2)
    out[:, :, 1:-1, 1:-1] = images
    return out


def patch_moments(images: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Mean (9 c,) and covariance (9 c, 9 c) of what a 3x3 convolution sees of
    `bordered` images, in the order of a kernel (9 c, width)."""
    n, c, h, w = _image_sizes(images)
    mean, covariance = images.new_empty(9 * c), images.new_empty(9 * c, 9 * c)
    call("patch_moments", width, (images, mean, covariance), n, c, h, w)
    return mean, covariance


def _sizes(maps: Tensor) -> tuple[int, int, int]:
    """Number, height and width of maps, without the border."""
    n, h, w, _ = maps.shape
    return n, h - 2, w - 2


def _width(maps: Tensor) -> int:
    """How many channels maps have."""
    return maps.shape[-1]


def _image_sizes(images: Tensor) -> tuple[int, int, int, int]:
    """Number, channels, height and width of images, without the border."""
    n, c, h, w = images.shape
    return n, c, h - 2, w - 2


def _pooled(
    n: int, h: int, w: int, margin: int, width: int
) -> tuple[int, int, int, int]:
    """The shape of what pooling leaves."""
    return n, h // 2 + 2 * margin, w // 2 + 2 * margin, width


def _convolve(kernel: str, maps: Tensor, weights: Tensor) -> Tensor:
    out = torch.empty_like(maps)
    call(kernel, _width(maps), (maps, weights, out), *_sizes(maps))
    return out


def _weigh(maps: Tensor, gradient: Tensor) -> Tensor:
    """The gradient by the weights."""
    width = _width(maps)
    out = maps.new_empty(width, width, 3, 3)
    call("weigh", width, (maps, gradient, out), *_sizes(maps))
    return out


def _last(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A `backward` that is not differentiated. Torch's `once_differentiable` says so to
    a gradient by all leaves only; one by chosen inputs would lack a term."""

    @wraps(backward)
    def checked(ctx: Any, *wanted: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise UnsupportedError(
                "conv4-fused has no third derivatives, and a second one is asked for "
                f"with create_graph=True: leave that out, or use {INSTEAD}"
            )
        return backward(ctx, *wanted)

    return checked


class _Convolution(Function):
    """(maps, weights) -> maps."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(maps, weights)
        return _convolve("convolve", maps, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _apply(_ConvolutionBack, lying(gradients[0]), *ctx.saved_tensors)


class _ConvolutionBack(Function):
    """(gradient, maps, weights) -> the gradients by maps and weights."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, maps: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(gradient, maps, weights)
        by_maps = _convolve("convolve_turned", gradient, weights)
        return by_maps, _weigh(maps, gradient)

    @staticmethod
    @_last
    def backward(ctx: Any, *wanted: Tensor) -> Any:
        gradient, maps, weights = ctx.saved_tensors
        a, b = map(lying, wanted)
        by_gradient = torch.empty_like(maps)
        read = a, weights, maps, b
        call("convolve_two", _width(maps), (*read, by_gradient), *_sizes(maps))
        by_maps = _convolve("convolve_turned", gradient, b)
        return by_gradient, by_maps, _weigh(a, gradient)


class _Normalisation(Function):
    """(maps, scale, shift, epsilon, margin) -> smaller maps."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        scale: Tensor,
        shift: Tensor,
        epsilon: float,
        margin: int,
    ) -> Tensor:
        sizes, width = _sizes(maps), _width(maps)
        out = maps.new_empty(_pooled(*sizes, margin, width))
        places = maps.new_empty(_pooled(*sizes, 0, width), dtype=torch.uint8)
        statistics = maps.new_empty(2, width, dtype=torch.float64)
        tensors = maps, scale, shift, out, places, statistics
        call("normalise", width, tensors, *sizes, margin, epsilon)
        ctx.save_for_backward(places, maps, statistics, scale)
        ctx.margin = margin
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        found = _apply(
            _NormalisationBack, lying(gradients[0]), *ctx.saved_tensors, ctx.margin
        )
        return *found, None, None


class _NormalisationBack(Function):
    """(gradient, places, maps, statistics, scale, margin) -> the gradients by maps,
    scale and shift."""

    @staticmethod
    def forward(
        ctx: Any,
        gradient: Tensor,
        places: Tensor,
        maps: Tensor,
        statistics: Tensor,
        scale: Tensor,
        margin: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        by_maps, sums = torch.empty_like(maps), torch.empty_like(statistics)
        read = gradient, places, maps, statistics, scale
        tensors = *read, by_maps, sums
        call("normalise_back", _width(maps), tensors, *_sizes(maps), margin)
        ctx.save_for_backward(gradient, places, maps, statistics, sums, scale)
        ctx.margin = margin
        by_shift, by_scale = sums.to(maps.dtype)
        return by_maps, by_scale, by_shift

    @staticmethod
    @_last
    def backward(ctx: Any, *wanted: Tensor) -> Any:
        gradient, _, maps, _, _, scale = ctx.saved_tensors
        found = tuple(map(torch.empty_like, (gradient, maps, scale)))
        read = *map(lying, wanted), *ctx.saved_tensors
        tensors = *read, *found
        call("normalise_twice", _width(maps), tensors, *_sizes(maps), ctx.margin)
        by_gradient, by_maps, by_scale = found
        return by_gradient, None, by_maps, None, by_scale, None


class _Beginning(Function):
    """(images, kernel, shift) -> maps."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: Tensor, shift: Tensor) -> Tensor:
        n, c, h, w = _image_sizes(images)
        width = len(shift)
        out = images.new_empty(_pooled(n, h, w, 1, width))
        places = images.new_empty(_pooled(n, h, w, 0, width), dtype=torch.uint8)
        call("begin", width, (images, kernel, shift, out, places), n, c, h, w)
        ctx.save_for_backward(images, places)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, *_apply(_BeginningBack, lying(gradients[0]), *ctx.saved_tensors)


class _BeginningBack(Function):
    """(gradient, images, places) -> the gradients by kernel and shift."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, images: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        n, c, h, w = _image_sizes(images)
        width = _width(gradient)
        by_kernel = images.new_empty(9 * c, width)
        by_shift = images.new_empty(width)
        tensors = images, gradient, places, by_kernel, by_shift
        call("begin_back", width, tensors, n, c, h, w)
        ctx.save_for_backward(images, places)
        return by_kernel, by_shift

    @staticmethod
    @_last
    def backward(ctx: Any, *wanted: Tensor) -> Any:
        images, places = ctx.saved_tensors
        n, c, h, w = _image_sizes(images)
        kernel, shift = map(lying, wanted)
        by_gradient = images.new_empty(_pooled(n, h, w, 1, len(shift)))
        tensors = images, kernel, shift, places, by_gradient
        call("begin_at", len(shift), tensors, n, c, h, w)
        return by_gradient, None, None
