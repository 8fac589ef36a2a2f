"""Worlds in torch, all copies of all tasks at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metapipe.data import normal, uniform

Numbers = NDArray[np.float64]


class BatchedWorlds(ABC):
    """Worlds whose chance is a function of their seed and of the steps since."""

    def __init__(self, count: int) -> None:
        self.count, self.time = count, 0
        self.key = np.zeros(count, np.uint64)

    def reset(
        self,
        *,
        seed: Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """All, with new chance; or those of a mask, with chance that goes on."""
        if seed is not None:
            self.key, self.time = np.asarray(seed, np.uint64), 0
        everywhere = torch.ones(self.count, dtype=torch.bool)
        self.begin((options or {}).get("reset_mask", everywhere))
        return self.observe(), {}

    def step(
        self, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """One step of all."""
        self.time += 1
        rewards, ended, late = self.act(actions)
        return self.observe(), rewards, ended, late, {}

    @abstractmethod
    def begin(self, where: Tensor) -> None:
        """Start those anew."""

    @abstractmethod
    def act(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Move all: rewards, whether it is over, whether time is over."""

    @abstractmethod
    def observe(self) -> Tensor:
        """What is seen now, (count, *shape)."""

    def uniform(self, purpose: str) -> Tensor:
        """A number in [0, 1) for each world, of this step."""
        return torch.from_numpy(uniform(self.key, f"{purpose} {self.time}"))

    def normal(self, purpose: str) -> Tensor:
        """A standard normal number for each world, of this step."""
        return torch.from_numpy(normal(self.key, f"{purpose} {self.time}"))


def copied(numbers: Numbers, copies: int) -> Tensor:
    """What each task has, for each copy of its world: (T, ...) -> (T * copies, ...)."""
    return torch.from_numpy(numbers).repeat_interleave(copies, 0)
