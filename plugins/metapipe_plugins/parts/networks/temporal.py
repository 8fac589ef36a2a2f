"""Temporal convolutions and causal attention: the blocks of SNAIL.

Mishra, Rohaninejad, Chen & Abbeel, "A Simple Neural Attentive Meta-Learner", ICLR 2018,
section 3. A sequence is a task's support set followed by one query, and only the last
position is read. All queries of a task share what comes before them, and nothing looks
ahead, so the support part is computed once: every block maps two streams, the support
sequence (..., n, c) and queries (..., m, c), each of which is position n for itself.
A sequence that grows while somebody acts is followed step by step: every block says
what later positions will want of each (..., n, kept), so that nothing is computed
twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Streams = tuple[Tensor, Tensor]


class DenseBlock(nn.Module):
    """A gated causal convolution of kernel 2, concatenated to its input."""

    def __init__(self, inside: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.dilation, self.kept = dilation, 2 * filters
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

    def follow(self, past: Tensor, steps: Tensor) -> Streams:
        """c channels -> c + filters of steps that come after those that `past` was kept
        of, and what is kept of them."""
        kept, count = self.before(steps), past.shape[-2]
        whole = F.pad(torch.cat([past, kept], -2), (0, 0, self.dilation, 0))
        before = whole[..., count : count + steps.shape[-2], :]
        return torch.cat([steps, _gate(self.now(steps) + before)], -1), kept


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
        self.kept = depth * 2 * filters

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + depth * filters."""
        for block in self.blocks:
            support, query = block(support, query)
        return support, query

    def follow(self, past: Tensor, steps: Tensor) -> Streams:
        """As that of its blocks, one after the other."""
        blocks = cast(list[DenseBlock], list(self.blocks))
        return _follow(blocks, past, steps)


class AttentionBlock(nn.Module):
    """One head of causal attention, concatenated to its input."""

    def __init__(self, inside: int, keys: int, values: int) -> None:
        super().__init__()
        self.outside, self.sizes = inside + values, [keys, values]
        self.kept = keys + values
        self.key = nn.Linear(inside, keys)
        self.question = nn.Linear(inside, keys)
        self.value = nn.Linear(inside, values)

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + values; a position sees itself and what came before."""
        keys, values = self.key(support), self.value(support)
        read = self._read(support, keys, values)
        return torch.cat([support, read], -1), self._query(query, keys, values)

    def follow(self, past: Tensor, steps: Tensor) -> Streams:
        """c channels -> c + values of steps that come after those that `past` was kept
        of, and what is kept of them."""
        kept = torch.cat([self.key(steps), self.value(steps)], -1)
        keys, values = torch.split(torch.cat([past, kept], -2), self.sizes, -1)
        return torch.cat([steps, self._read(steps, keys, values)], -1), kept

    def _read(self, steps: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What the last of all that have keys see: themselves, and what is before."""
        scores = self.question(steps) @ keys.mT * keys.shape[-1] ** -0.5
        later = 1 + keys.shape[-2] - steps.shape[-2]
        future = torch.ones_like(scores, dtype=torch.bool).triu(later)
        weights: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
        return weights @ values

    def _query(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each query sees the support sequence and itself."""
        question, scale = self.question(query), keys.shape[-1] ** -0.5
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
        self.kept = sum(block.kept for block in self.stack)
        if ways is not None:
            self.head = nn.Linear(self.outside, ways)

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """(..., n, c) and (..., m, c) -> logits (..., m, ways)."""
        return self.head(self.streams(support, query)[1])  # type: ignore[no-any-return]

    @property
    def stack(self) -> tuple[AttentionBlock | TCBlock, ...]:
        """Its blocks in order."""
        return (
            self.attention1,
            self.tc1,
            self.attention2,
            self.tc2,
            self.attention3,
        )

    def follow(self, past: Tensor, steps: Tensor) -> Streams:
        """Steps (..., h, c) after t others, of which (..., t, kept) was kept -> what a
        head sees at each, (..., h, outside), and what is kept of them."""
        return _follow(self.stack, past, steps)

    def streams(self, support: Tensor, query: Tensor) -> Streams:
        """What the head sees, at every position."""
        both = (support, query)
        for block in self.stack:
            both = block(*both)
        return both


def _follow(
    blocks: Sequence[AttentionBlock | TCBlock | DenseBlock], past: Tensor, steps: Tensor
) -> Streams:
    kept: list[Tensor] = []
    parts = torch.split(past, [block.kept for block in blocks], -1)
    for block, part in zip(blocks, parts, strict=True):
        steps, own = block.follow(part, steps)
        kept.append(own)
    return steps, torch.cat(kept, -1)


def _gate(both: Tensor) -> Tensor:
    filtered, gate = both.chunk(2, -1)
    return torch.tanh(filtered) * torch.sigmoid(gate)
