"""Images of a bank in the memory of a device, where episodes are cut out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from .bank import Bank
from .image_encoder import unit_floats_on
from .sampling import Integers

TURNS = (1, 2, 3)


@dataclass(frozen=True)
class HeldImages:
    """Of some classes of a bank."""

    images: Tensor
    """(m, H, W), or (m, H, W, C): bytes."""

    rows: Integers
    """(n,): where in it each item of the bank is; of other classes nothing is meant."""

    @classmethod
    def of(cls, bank: Bank, classes: Iterable[int], device: str) -> Self:
        """The items of these classes of the bank, copied to the device."""
        places = np.concatenate(
            [np.arange(*bank.starts[number : number + 2]) for number in classes]
        )
        rows = np.full(len(bank.items), -1)
        rows[places] = np.arange(len(places))
        return cls(torch.from_numpy(bank.items[places]).to(device), rows)

    def inputs(self, places: Integers, turns: Integers) -> Tensor:
        """(T, ways, k, C, H, W) in [0, 1]: the items at these places (T, ways, k) of
        the bank, of classes that are turned by so many quarters (T, ways)."""
        images = self.images[self._there(self.rows[places])]
        for quarter in TURNS:
            turned = tuple(map(self._there, np.nonzero(turns == quarter)))
            if len(turned[0]):
                images[turned] = torch.rot90(images[turned], quarter, (2, 3))
        inputs = unit_floats_on(images.flatten(0, 2))
        return inputs.reshape(*places.shape, *inputs.shape[1:])

    def _there(self, numbers: Integers) -> Tensor:
        return torch.from_numpy(numbers).to(self.images.device)
