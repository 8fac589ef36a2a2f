"""What a model is: a network, to be built for a problem."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from .plugin import Plugin
from .problem import Statistics

if TYPE_CHECKING:
    from torch import nn


class Model(Plugin):
    """A network, to be built for a problem."""

    @abstractmethod
    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """A module from (n, *shape) to (n, outputs), or to features (n, d) if `outputs`
        is None.

        Parameters of the final linear layer are named `head.*`. With `statistics`
        "batch", normalisation layers use the statistics of the batch at hand, always,
        and have no buffers; with "running" they are torch's usual ones; with "support"
        they have no buffers and take what `numerics.support_statistics` found, as
        `numerics.BatchNorm` does, or the batch's where nothing is given. The default
        device decides where the parameters are; on `meta` there are no values, and
        what files hold is opened so. All tensors are parameters or buffers.
        Raises UnsupportedError if `shape` does not suit the model.
        """

    def initialise(self, network: nn.Module) -> None:
        """Put values from elsewhere, a file or a hub, in place of those that `build`
        initialised; by default there are none.

        For a new training only: a learner that is opened from a checkpoint or an
        adapted model has its values from there. `network` is the algorithm's, on the
        CPU; what `build` returned is a part of it, or all.
        """
