"""What normalisation layers see of a support set, for its queries to be normalised by.

With the statistics of its own batch a query sees the other queries. A method that asks
its model for "support" computes those of the support set once, in `adapt`, returns them
with all else that `predict` needs, and hands them to `apply` as the layers' state.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..episode import Params
from ..errors import UnsupportedError
from .functional import apply, of_this_thread
from .normalisation import BatchNorm, seen
from .remembered import watching


def support_statistics(network: nn.Module, params: Params, inputs: Tensor) -> Params:
    """Mean and variance of what each `BatchNorm` of the network gets in a call with
    these `inputs` (n, *shape), by name: `NAME.mean` and `NAME.var`, (channels,) each.

    Differentiable with respect to `params`, twice as well, however tasks are mapped.
    `apply(network, params, queries, state=...)` normalises by them. Raises
    UnsupportedError for a layer that would go on with the statistics of a batch.
    """
    require_own_layers(network)
    here = of_this_thread(network)
    names = {module: name for name, module in here.named_modules()}
    with watching(), seen(here) as found:
        apply(network, params, inputs)
    return {
        (f"{names[module]}.{which}" if names[module] else which): value
        for module, moments in found.items()
        for which, value in zip(("mean", "var"), moments, strict=True)
    }


def require_own_layers(network: nn.Module) -> None:
    """Raise UnsupportedError for a layer that would go on with the statistics of a
    batch: `support_statistics` does, and a method does better when it is built."""
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, BatchNorm):
            raise UnsupportedError(
                f"the model's layer {name} cannot take the statistics of a support "
                "set: use metapipe.numerics.BatchNorm, or algorithm.statistics=batch"
            )
