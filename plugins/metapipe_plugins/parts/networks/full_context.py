"""Full context embeddings: features of a support set that know each other, and
features of queries that know the support set.

Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, "Matching Networks for One Shot
Learning", NIPS 2016, section 2.1.2 and appendix A, in the form of Chen et al.'s code
("A Closer Look at Few-shot Classification", ICLR 2019): the reading cell sees the query
and what was read. The LSTMs are written out, because torch's cannot be vectorised over
tasks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Cell(nn.Module):
    """One step of an LSTM, with torch's order of gates and one bias."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(inside, 4 * width)
        self.hidden = nn.Linear(width, 4 * width, bias=False)

    def forward(
        self, inputs: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(..., inside), (..., width), (..., width) -> the new hidden and cell."""
        gates = self.inputs(inputs) + self.hidden(hidden)
        enter, keep, new, show = gates.chunk(4, -1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


class SupportContext(nn.Module):
    """g: each example's features, and what LSTMs say that read the support set towards
    it from both ends."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.onwards = Cell(width, width)
        self.backwards = Cell(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(..., n, width) -> the same, which depends on the order."""
        onwards = _read(self.onwards, features)
        backwards = _read(self.backwards, features.flip(-2)).flip(-2)
        return features + onwards + backwards


class QueryContext(nn.Module):
    """f: an LSTM that reads the support set by attention, a number of times."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.cell = Cell(2 * width, width)
        self.steps = steps

    def forward(self, features: Tensor, support: Tensor) -> Tensor:
        """(..., m, width) and g's (..., n, width) -> (..., m, width)."""
        hidden, cell = features, torch.zeros_like(features)
        for _ in range(self.steps):
            attention = (hidden @ support.mT).softmax(-1)
            seen = torch.cat([features, attention @ support], -1)
            hidden, cell = self.cell(seen, hidden, cell)
            hidden = hidden + features
        return hidden


def _read(cell: Cell, features: Tensor) -> Tensor:
    """What the cell says at each of (..., n, width), one after the other."""
    hidden = state = torch.zeros_like(features[..., 0, :])
    said = []
    for step in features.unbind(-2):
        hidden, state = cell(step, hidden, state)
        said.append(hidden)
    return torch.stack(said, -2)
