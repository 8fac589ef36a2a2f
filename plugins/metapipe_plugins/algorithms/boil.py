"""BOIL: MAML whose inner loop adapts the body, and leaves the head as it is.

Oh, Yoo, Kim & Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR
2021: the opposite of ANIL.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from torch import nn

from metapipe import Kind, Model, Problem, Register, UnsupportedError, hookimpl
from metapipe_plugins.algorithms.maml import MAML


class BOIL(MAML):
    """Learn an initialisation whose features, and not its head, adapt to a task."""

    paper: ClassVar[str] = (
        "Oh, Yoo, Kim & Yun, ICLR 2021, https://arxiv.org/abs/2008.08882"
    )
    equations: ClassVar[str] = "section 3.1: the head's inner step size is zero"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification", "regression"})
    departures: ClassVar[str] = (
        "one inner step size for all of the body, as in MAML; normalisation layers are "
        "adapted with adapt_normalisation only, where the authors' code adapts them"
    )

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model with its head. Raises UnsupportedError for one that has nothing
        below it that could adapt."""
        network = super().build(model, problem)
        names = {name for name, _ in network.named_parameters()}
        if names <= set(self.fixed(network)):
            raise UnsupportedError(
                "boil adapts what is below the model's head, and this model has "
                "nothing there: choose another, for example --model conv4"
            )
        return network

    def fixed(self, network: nn.Module) -> Collection[str]:
        """The head, and normalisation layers as in MAML."""
        names = {name for name, _ in network.named_parameters()}
        head = {name for name in names if name.startswith("head.")}
        return head | set(super().fixed(network))


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer BOIL."""
    register("boil", BOIL)
