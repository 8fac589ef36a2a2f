"""BOIL: MAML whose inner loop adapts the body, and leaves the head as it is.

Oh, Yoo, Kim & Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR
2021: the opposite of ANIL.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from torch import nn

from metapipe import Register, UnsupportedError, hookimpl
from metapipe_plugins.algorithms.maml import MAML


class BOIL(MAML):
    """Learn an initialisation whose features, and not its head, adapt to a task."""

    paper: ClassVar[str] = (
        "Oh, Yoo, Kim & Yun, ICLR 2021, https://arxiv.org/abs/2008.08882"
    )
    equations: ClassVar[str] = "section 3.1: the head's inner step size is zero"
    departures: ClassVar[str] = (
        "one inner step size for all of the body, as in MAML; normalisation layers are "
        "adapted with adapt_normalisation only, where the authors' code adapts them"
    )

    def fixed(self, network: nn.Module) -> Collection[str]:
        """The head, and normalisation layers as in MAML. Raises UnsupportedError for a
        network that has nothing else."""
        names = {name for name, _ in network.named_parameters()}
        head = {name for name in names if name.startswith("head.")}
        left = head | set(super().fixed(network))
        if not head or left >= names:
            raise UnsupportedError(
                "boil adapts what is below the model's head, and this model has "
                "nothing there or no head: choose another, for example --model conv4"
            )
        return left


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer BOIL."""
    register("boil", BOIL)
