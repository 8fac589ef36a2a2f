"""Temporal convolutions and causal attention: the blocks of SNAIL.

Mishra, Rohaninejad, Chen & Abbeel, "A Simple Neural Attentive Meta-Learner", ICLR 2018,
section 3.

Who classifies reads a task's support set followed by one query, of which only the last
position says anything. All queries of a task share what comes before them, and nothing
looks ahead, so the support part is computed once: `forward` maps two streams, the
support sequence (..., n, c) and queries (..., m, c), each of which is position n for
itself.

Who acts reads a sequence that grows, and says something at each position: `follow` maps
steps that come after others. Every block adds channels to those before, so all that
later positions want of a step is what the last attention reads of it.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Streams = tuple[Tensor, Tensor]


class DenseBlock(nn.Module):
    """A gated causal convolution of kernel 2, concatenated to its input."""

    def __init__(self, inside: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.inside, self.dilation = inside, dilation
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

    def follow(self, past: Tensor, steps: Tensor) -> Tensor:
        """c channels (..., h, c) -> c + filters, of steps that come after `past`, (...,
        t, c or more)."""
        near = past[..., max(past.shape[-2] - self.dilation, 0) :, : self.inside]
        count, known = steps.shape[-2], near.shape[-2] - self.dilation
        seen = torch.cat([near, steps], -2)[..., : max(known + count, 0), :]
        before = F.pad(self.before(seen), (0, 0, count - seen.shape[-2], 0))
        return torch.cat([steps, _gate(self.now(steps) + before)], -1)


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

    def follow(self, past: Tensor, steps: Tensor) -> Tensor:
        """c channels -> c + depth * filters, of steps that come after `past`."""
        for block in self.blocks:
            steps = cast(DenseBlock, block).follow(past, steps)
        return steps


class AttentionBlock(nn.Module):
    """One head of causal attention, concatenated to its input.

    No keys or values are computed, since both are linear in the input: a question's
    product with the key of an input is the product of `key.weight.T @ question` with
    the input itself, and the mean of values is the value of the mean. (A bias of the
    keys would add the same to all scores of a question.)
    """

    def __init__(self, inside: int, keys: int, values: int) -> None:
        super().__init__()
        self.inside, self.outside = inside, inside + values
        self.key = nn.Linear(inside, keys, bias=False)
        self.question = nn.Linear(inside, keys)
        self.value = nn.Linear(inside, values)

    def forward(self, support: Tensor, query: Tensor) -> Streams:
        """c channels -> c + values; a position sees itself and what came before."""
        read = self.follow(support[..., :0, :], support)
        return read, self._query(support, query)

    def follow(self, past: Tensor, steps: Tensor) -> Tensor:
        """c channels (..., h, c) -> c + values, of steps that come after `past`, (...,
        t, c or more)."""
        past, asked = past[..., : self.inside], self._asked(steps)
        among = asked @ steps.mT
        future = torch.ones_like(among, dtype=torch.bool).triu(1)
        scores = [asked @ past.mT, among.masked_fill(future, -torch.inf)]
        before, now = _shares(scores)
        return self._with_value(steps, before @ past + now @ steps)

    def _query(self, support: Tensor, query: Tensor) -> Tensor:
        """Each query sees the support sequence and itself."""
        asked = self._asked(query)
        itself = (asked * query).sum(-1, keepdim=True)
        before, now = _shares([asked @ support.mT, itself])
        return self._with_value(query, before @ support + now * query)

    def _asked(self, steps: Tensor) -> Tensor:
        """What they look for, (..., h, c): keys.T @ question, in the cheaper order."""
        keys = self.key.weight * len(self.key.weight) ** -0.5
        chain = [steps.flatten(0, -2), self.question.weight.mT, keys]
        asked: Tensor = torch.linalg.multi_dot(chain) + self.question.bias @ keys
        return asked.reshape(steps.shape)

    def _with_value(self, steps: Tensor, read: Tensor) -> Tensor:
        return torch.cat([steps, self.value(read)], -1)


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
        self.outside, self.kept = self.attention3.outside, self.tc2.outside
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

    def follow(self, past: Tensor, steps: Tensor) -> Tensor:
        """Steps (..., h, c) that come after t others -> what a head sees at each,
        (..., h, outside), whose first `kept` channels are what later steps want as
        `past`, (..., t, kept)."""
        for block in self.stack:
            steps = block.follow(past, steps)
        return steps

    def streams(self, support: Tensor, query: Tensor) -> Streams:
        """What the head sees, at every position."""
        both = (support, query)
        for block in self.stack:
            both = block(*both)
        return both


def _shares(scores: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Two groups' shares of the attention, from their scores."""
    shares = torch.cat(scores, -1).softmax(-1)
    first, second = torch.split(shares, [group.shape[-1] for group in scores], -1)
    return first, second


def _gate(both: Tensor) -> Tensor:
    filtered, gate = both.chunk(2, -1)
    return torch.tanh(filtered) * torch.sigmoid(gate)
