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
        return self.layers(log_sign(gradients)).squeeze(-1)  # type: ignore[no-any-return]


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
        features = log_sign(gradients)
        hidden = cell = features.new_zeros(*features.shape[1:-1], HIDDEN)
        for step in features.unbind(0):
            gates = self.inputs(step) + self.hidden(hidden)
            enter, keep, show, new = gates.chunk(4, -1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cell.tanh()
        return self.output(hidden).squeeze(-1)  # type: ignore[no-any-return]


def _small(layer: nn.Linear) -> nn.Linear:
    """Near zero, so that training begins near the slow network alone."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
