"""The nearest class mean on vectors of a backbone, centred on the task.

Wang, Chao, Weinberger & van der Maaten, "SimpleShot: Revisiting Nearest-Neighbor
Classification for Few-Shot Learning", arXiv 1911.04623, 2019.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from metapipe import Meta, Params, Register, hookimpl
from metapipe_plugins.parts.heads.prototypes import prototypes
from metapipe_plugins.parts.heads.task_head import TaskHead


class Nearest(TaskHead):
    """Classify by the largest cosine to a class mean, both seen from the task's
    middle."""

    paper: ClassVar[str] = "Wang et al., 2019, https://arxiv.org/abs/1911.04623"
    equations: ClassVar[str] = "eq. 1 on centred features of length one (CL2N)"
    departures: ClassVar[str] = (
        "centred on the mean of the task's class means, as there are no base classes "
        "whose mean could be taken; and on roots of the features"
    )

    scale: PositiveFloat = 10.0
    """Of the logits, which are cosines times this."""

    def fit(self, vectors: Tensor, labels: Tensor, ways: int) -> Params:
        """`centre` (d,), and `weight` (ways, d): the directions of the class means."""
        centre = prototypes(vectors, labels, ways).mean(0)
        centred = F.normalize(vectors - centre, dim=-1)
        means = F.normalize(prototypes(centred, labels, ways), dim=-1)
        return {"centre": centre, "weight": self.scale * means}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Cosines to the class means, scaled: (m, ways)."""
        vectors = self.vectors(network, meta, inputs)
        centred = F.normalize(vectors - adapted["centre"], dim=-1)
        return centred @ adapted["weight"].mT


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer the nearest class mean."""
    register("nearest", Nearest)
