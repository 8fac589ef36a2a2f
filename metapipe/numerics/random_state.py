"""Where torch's generators stand, and how to draw from there again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """Of the CPU's generator, and of a device's."""

    device: torch.device
    states: tuple[Tensor, ...]

    @classmethod
    def at(cls, device: torch.device) -> Self:
        """As it is now."""
        states = [torch.get_rng_state()]
        if device.type == "cuda":
            states.append(torch.cuda.get_rng_state(device))
        elif device.type == "mps":
            states.append(torch.mps.get_rng_state())
        return cls(device, tuple(states))

    def moved(self) -> bool:
        """Whether anything was drawn since."""
        now = RandomState.at(self.device).states
        return not all(map(torch.equal, self.states, now))

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw inside what was drawn from here on; go on afterwards as if not."""
        now = RandomState.at(self.device)
        self._restore()
        try:
            yield
        finally:
            now._restore()

    def _restore(self) -> None:
        cpu, *others = self.states
        torch.set_rng_state(cpu)
        for state in others:
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(state, self.device)
            else:
                torch.mps.set_rng_state(state)
