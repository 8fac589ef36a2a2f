"""Normalisation layers whose second derivatives are right however tasks are mapped.

In the gradient of the `weight` of batch, layer and instance normalisation, torch's
`vmap` takes the batch's statistics for constants. Second derivatives through them are
lost, silently, and with them a part of the meta-gradient where the inner loop adapts
scales. In these layers torch normalises, and the scale is outside of its call.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..problem import Statistics


class BatchNorm(_BatchNorm):
    """Batch normalisation with a learned shift and perhaps a learned scale.

    `statistics` are those of the batch at hand, always, or running ones: then those of
    the batch in training, which move the buffers, and the buffers' in use.
    """

    def __init__(
        self, channels: int, statistics: Statistics, *, scale: bool = True
    ) -> None:
        running = statistics == "running"
        super().__init__(channels, affine=scale, track_running_stats=running)
        if not scale:
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels, *size) -> the same."""
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

    def _normalised(
        self, inputs: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            inputs,
            self.running_mean,
            self.running_var,
            weight,
            bias,
            training=self.training or self.running_mean is None,
            momentum=self.momentum or 0.0,
            eps=self.eps,
        )


class LayerNorm(nn.LayerNorm):
    """Layer normalisation with a learned scale and shift."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *size, *normalized_shape) -> the same."""
        found = F.layer_norm(inputs, self.normalized_shape, eps=self.eps)
        return torch.addcmul(self.bias, found, self.weight)
