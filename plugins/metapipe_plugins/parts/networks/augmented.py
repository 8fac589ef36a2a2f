"""Layer augmentation: a network whose every layer has slow weights and fast ones.

Munkhdalai & Yu, "Meta Networks", ICML 2017, section 3.2 and figure 2: a layer's input
goes through both, each is activated for itself, and the two are added; of the last
layer the logits are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from metapipe import Params, UnsupportedError
from metapipe.numerics import apply, within

WEIGHTED = (nn.Conv2d, nn.Linear)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh)

Fast = Callable[[str, nn.Module, Tensor], Tensor]
"""The fast path through a layer: (its name, the layer, its input) -> its output."""


class Named(NamedTuple):
    """A module without children, and its name in the network."""

    name: str
    module: nn.Module


class Layer(NamedTuple):
    """A layer with weights, and what follows up to the next one."""

    weighted: Named

    activation: tuple[Named, ...]
    """Normalisation and non-linearity: applied to the slow and the fast path alike."""

    rest: tuple[Named, ...]
    """Pooling and the like: applied to their sum."""


class Augmented:
    """A sequential network, seen layer by layer."""

    def __init__(self, network: nn.Module) -> None:
        leaves = [
            Named(name, module)
            for name, module in network.named_modules()
            if not list(module.children())
        ]
        for module in network.modules():
            if list(module.children()) and not isinstance(module, nn.Sequential):
                raise UnsupportedError(
                    f"metanet needs a plain sequence of layers, and this model has a "
                    f"{type(module).__name__}: use --model conv4 or --model mlp"
                )
        starts = [i for i, leaf in enumerate(leaves) if _has_weights(leaf)]
        self.before = tuple(leaves[: starts[0]])
        ends = [*starts[1:], len(leaves)]
        self.layers = [
            _layer(leaves[start:end]) for start, end in zip(starts, ends, strict=True)
        ]

    @property
    def weights(self) -> list[str]:
        """Names of the parameters that have a fast counterpart."""
        return [
            f"{layer.weighted.name}.{name}"
            for layer in self.layers
            for name, _ in layer.weighted.module.named_parameters()
        ]

    def run(
        self, slow: Params, inputs: Tensor, fast: Fast | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, ways), and the representation of the inputs (n, d): the last dense
        layer before the head, not activated, or else what the head sees."""
        hidden = _through(self.before, slow, inputs)
        for layer in self.layers[:-1]:
            outputs = _paths(layer, slow, hidden, fast)
            representation = sum(outputs[1:], outputs[0])
            activated = [_through(layer.activation, slow, out) for out in outputs]
            hidden = _through(layer.rest, slow, sum(activated[1:], activated[0]))
        if len(self.layers) < 2 or representation.ndim > 2:
            representation = hidden
        outputs = _paths(self.layers[-1], slow, hidden, fast)
        return sum(outputs[1:], outputs[0]), representation


def one_set(params: Params) -> Fast:
    """Fast weights that are the same for all inputs."""

    def fast(name: str, module: nn.Module, hidden: Tensor) -> Tensor:
        return apply(module, within(params, name), hidden)

    return fast


def _paths(
    layer: Layer, slow: Params, hidden: Tensor, fast: Fast | None
) -> Sequence[Tensor]:
    """The outputs of the slow weights and, if there are any, of the fast ones."""
    name, module = layer.weighted
    output = apply(module, within(slow, name), hidden)
    return [output] if fast is None else [output, fast(name, module, hidden)]


def _through(modules: Sequence[Named], slow: Params, hidden: Tensor) -> Tensor:
    for name, module in modules:
        hidden = apply(module, within(slow, name), hidden)
    return hidden


def _has_weights(leaf: Named) -> bool:
    return isinstance(leaf.module, WEIGHTED)


def _layer(leaves: Sequence[Named]) -> Layer:
    """The first has the weights."""
    kinds = [isinstance(leaf.module, ACTIVATIONS) for leaf in leaves]
    end = kinds.index(True) + 1 if True in kinds else 1
    return Layer(leaves[0], tuple(leaves[1:end]), tuple(leaves[end:]))
