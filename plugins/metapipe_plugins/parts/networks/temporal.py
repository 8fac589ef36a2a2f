"""Temporal convolutions and causal attention: the blocks of SNAIL.

Mishra, Rohaninejad, Chen & Abbeel, "A Simple Neural Attentive Meta-Learner", ICLR 2018,
section 3. A sequence is a task's support set followed by one query, and only the last
position is read. All queries of a task share what comes before them, and nothing looks
ahead, so the support part is computed once: every block maps two streams, the support
sequence (..., n, c) and queries (..., m, c), each of which is position n for itself.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Streams = tuple[Tensor, Tensor]


class DenseBlock(nn.Module):
    """A gated causal convolution of kernel 2, concatenated to its input."""

    def __init__(self, inside: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.now = nn.Linear(inside, 2 * filters)
        self.before = nn.Linear(inside, 2 * filters, bias=False)

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + filters."""
        count = support.shape[-2]
        # Position t sees t - dilation: zeros before the beginning.
        padded = F.pad(self.before(support), (0, 0, self.dilation, 0))
        past, last = padded[..., :count, :], padded[..., count : count + 1, :]
        return (
            torch.cat([support, _gate(self.now(support) + past)], -1),
            torch.cat([query, _gate(self.now(query) + last)], -1),
        )


class TCBlock(nn.Module):
    """Dense blocks of growing dilation, until they span a sequence."""

    def __init__(
        self, inside: int, length: int, filters: int, literal_dilation: bool
    ) -> None:
        super().__init__()
        depth = math.ceil(math.log2(length))
        self.outside = inside + depth * filters
        # The paper's pseudo-code begins at 2, which only even lags can be reached by.
        first = 1 if literal_dilation else 0
        self.blocks = nn.ModuleList(
            DenseBlock(inside + i * filters, filters, 2 ** (first + i))
            for i in range(depth)
        )

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + depth * filters."""
        for block in self.blocks:
            support, query = block(support, query)
        return support, query


class AttentionBlock(nn.Module):
    """One head of causal attention, concatenated to its input."""

    def __init__(self, inside: int, keys: int, values: int) -> None:
        super().__init__()
        self.outside = inside + values
        self.key = nn.Linear(inside, keys)
        self.question = nn.Linear(inside, keys)
        self.value = nn.Linear(inside, values)

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + values; a position sees itself and what came before."""
        keys, values = self.key(support), self.value(support)
        scale = keys.shape[-1] ** -0.5
        scores = self.question(support) @ keys.mT * scale
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        read = scores.masked_fill(future, -torch.inf).softmax(-1) @ values
        return torch.cat([support, read], -1), self._query(query, keys, values, scale)

    def _query(
        self, query: Tensor, keys: Tensor, values: Tensor, scale: float
    ) -> Tensor:
        """Each query sees the support sequence and itself."""
        question = self.question(query)
        itself = (question * self.key(query)).sum(-1, keepdim=True)
        weights = (torch.cat([question @ keys.mT, itself], -1) * scale).softmax(-1)
        read = weights[..., :-1] @ values + weights[..., -1:] * self.value(query)
        return torch.cat([query, read], -1)


class Snail(nn.Module):
    """Attention and temporal convolutions in turn, and logits at the end, if there are
    `ways`."""

    def __init__(
        self,
        inside: int,
        ways: int | None,
        length: int,
        filters: int,
        literal_dilation: bool,
    ) -> None:
        super().__init__()
        self.attention1 = AttentionBlock(inside, 64, 32)
        size = self.attention1.outside
        self.tc1 = TCBlock(size, length, filters, literal_dilation)
        self.attention2 = AttentionBlock(self.tc1.outside, 256, 128)
        size = self.attention2.outside
        self.tc2 = TCBlock(size, length, filters, literal_dilation)
        self.attention3 = AttentionBlock(self.tc2.outside, 512, 256)
        self.outside = self.attention3.outside
        if ways is not None:
            self.head = nn.Linear(self.outside, ways)

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """(..., n, c) and (..., m, c) -> logits (..., m, ways)."""
        return self.head(self.streams(support, query)[1])  # type: ignore[no-any-return]

    def positions(self, sequence: Tensor) -> Tensor:
        """(..., n, c) -> what a head sees at each position, (..., n, outside)."""
        return self.streams(sequence, sequence[..., :1, :])[0]

    def streams(self, support: Tensor, query: Tensor) -> Streams:
        """What the head sees, at every position."""
        both = (support, query)
        for block in (
            self.attention1,
            self.tc1,
            self.attention2,
            self.tc2,
            self.attention3,
        ):
            both = block(*both)
        return both


def _gate(both: Tensor) -> Tensor:
    filtered, gate = both.chunk(2, -1)
    return torch.tanh(filtered) * torch.sigmoid(gate)
