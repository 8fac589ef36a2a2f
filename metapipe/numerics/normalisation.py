"""Normalisation layers whose second derivatives are right however tasks are mapped.

In the gradient of the `weight` of batch, layer and instance normalisation, torch's
`vmap` takes the batch's statistics for constants. Second derivatives through them are
lost, silently, and with them a part of the meta-gradient where the inner loop adapts
scales. In these layers torch normalises, and the scale is outside of its call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..problem import Statistics

Seen = dict[nn.Module, tuple[Tensor, Tensor]]
"""Mean and variance, (channels,) each, of what a layer got."""

Moments = Callable[[], tuple[Tensor, Tensor]]
"""What finds them."""


@contextmanager
def seen(network: nn.Module) -> Iterator[Seen]:
    """What each `BatchNorm` of this thread's network gets inside, once it is called."""
    layers = [m for m in network.modules() if isinstance(m, BatchNorm)]
    found: Seen = {}
    for layer in layers:
        layer.seen = found
    try:
        yield found
    finally:
        for layer in layers:
            layer.seen = None


class BatchNorm(_BatchNorm):
    """Batch normalisation with a learned shift and perhaps a learned scale.

    `statistics` are those of the batch at hand, always; or running ones: then those of
    the batch in training, which move the buffers, and the buffers' in use; or those of
    a support set: then those handed in as `mean` and `var`, and the batch's if none
    are.
    """

    mean: Tensor | None
    var: Tensor | None
    seen: Seen | None = None
    """Where to note what it gets, if somebody asks. An attribute, and nothing that is
    looked up elsewhere: `torch.compile` goes through it."""

    def __init__(
        self, channels: int, statistics: Statistics, *, scale: bool = True
    ) -> None:
        running = statistics == "running"
        super().__init__(channels, affine=scale, track_running_stats=running)
        if not scale:
            self.bias = nn.Parameter(torch.zeros(channels))
        # Empty places: a functional call puts tensors there, and nothing is kept.
        self.register_buffer("mean", None)
        self.register_buffer("var", None)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels, *size) -> the same, in the type of the parameters: bfloat16 has
        too few digits for it, and torch's rule for `vmap` does not take two types."""
        inputs = inputs.to(self.bias.dtype)
        given = self._given(lambda: _moments(inputs))
        if given is not None:
            return self._by(inputs, *given)
        if not self.affine:
            # A shift is right inside, and faster. Without a weight beside it, torch
            # cannot differentiate it twice: here is one that asks for no gradient.
            ones = torch.ones(
                self.num_features, dtype=self.bias.dtype, device=self.bias.device
            )
            return self._normalised(inputs, ones, self.bias)
        if self.running_mean is not None:
            # Inside as well, a quarter of a training's time: `vmap` is right in use,
            # where the buffers are constants, and refuses to move them in training.
            return self._normalised(inputs, self.weight, self.bias)
        each = (-1,) + (1,) * (inputs.ndim - 2)
        found = self._normalised(inputs)
        return torch.addcmul(self.bias.view(each), found, self.weight.view(each))

    def normalise(self, values: Tensor, moments: Moments, count: int) -> Tensor:
        """`forward` of a part of the maps, (n, channels, *size), such as what is left
        after pooling, where a quicker way than through all of them leads to their
        `moments`: mean and variance, (channels,) each, of `count` values."""
        given = self._given(moments)
        if given is not None:
            return self._by(values, *given)
        if self.running_mean is None or self.running_var is None:
            return self._by(values, *moments())
        if not self.training:
            return self._by(values, self.running_mean, self.running_var)
        mean, var = moments()
        self._move(mean.detach(), var.detach() * (count / (count - 1)))
        return self._by(values, mean, var)

    def _given(self, moments: Moments) -> tuple[Tensor, Tensor] | None:
        """Mean and variance of a support set: those at hand, which are noted, or those
        handed in; None if they are neither asked for nor there."""
        if self.seen is not None:
            self.seen[self] = moments()
            return self.seen[self]
        if self.mean is not None and self.var is not None:
            return self.mean, self.var
        return None

    @torch.no_grad()
    def _move(self, mean: Tensor, var: Tensor) -> None:
        """The buffers towards these."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(var, self.momentum or 0.0)

    def _by(self, inputs: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Normalised by this mean and variance; torch's own call takes both for
        constants, and here they have gradients."""
        scale = torch.rsqrt(var + self.eps)
        if self.affine:
            scale = scale * self.weight
        each = (-1,) + (1,) * (inputs.ndim - 2)
        moved = inputs - mean.view(each)
        return torch.addcmul(self.bias.view(each), moved, scale.view(each))

    def _normalised(
        self, inputs: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        own = self.training or self.running_mean is None
        mean, variance, momentum = self.running_mean, self.running_var, self.momentum
        if inputs.device.type == "cpu":
            return F.batch_norm(
                *(inputs, mean, variance, weight, bias, own, momentum or 0.0, self.eps)
            )
        if own and inputs.numel() == inputs.shape[1]:
            raise ValueError(f"one value a channel has no variance: {inputs.shape}")
        # Not cuDNN's, which asks for the order of strides: vmap does not tell.
        return torch.batch_norm(
            inputs, weight, bias, mean, variance, own, momentum or 0.0, self.eps, False
        )


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (over n, as batches are normalised) of (n, channels, *size)."""
    others = [axis for axis in range(inputs.ndim) if axis != 1]
    return inputs.mean(others), inputs.var(others, unbiased=False)


class GroupNorm(nn.GroupNorm):
    """Group normalisation (Wu & He, ECCV 2018) with a learned shift and perhaps a
    learned scale: each input by its own statistics, whatever else is in the batch."""

    def __init__(self, groups: int, channels: int, *, scale: bool = True) -> None:
        super().__init__(groups, channels, affine=scale)
        if not scale:
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels, *size) -> the same."""
        each = (-1,) + (1,) * (inputs.ndim - 2)
        # Said in full: torch's call has no `vmap` for maps that lie channels last.
        groups = inputs.reshape(len(inputs), self.num_groups, -1)
        moved = groups - groups.mean(-1, keepdim=True)
        found = moved * torch.rsqrt(moved.square().mean(-1, keepdim=True) + self.eps)
        found = found.reshape(inputs.shape)
        shift = self.bias.view(each)
        if not self.affine:
            return found + shift
        return torch.addcmul(shift, found, self.weight.view(each))


class LayerNorm(nn.LayerNorm):
    """Layer normalisation with a learned scale and shift."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *size, *normalized_shape) -> the same."""
        found = F.layer_norm(inputs, self.normalized_shape, eps=self.eps)
        return torch.addcmul(self.bias, found, self.weight)
