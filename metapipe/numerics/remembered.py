"""Calls of a network that are made twice, and computed once.

What a method says of an input and how like its classes that is are asked for one after
the other, and both take the network's features. They are a function of parameters,
state and inputs, so whoever asks for both may have them computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

from .precision import precision_here

Kept = tuple[Tensor, tuple[object, ...]]
"""What a call gave, and what it was made with: as long as that is here, nothing else
can be where it is."""

_calls: ContextVar[dict[Hashable, Kept] | None] = ContextVar("calls", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Inside, a call without gradients that was made before is not computed again."""
    token = _calls.set({})
    try:
        yield
    finally:
        _calls.reset(token)


@contextmanager
def watching() -> Iterator[None]:
    """Inside, each call is computed: for whoever wants more of it than its result."""
    token = _calls.set(None)
    try:
        yield
    finally:
        _calls.reset(token)


def once(
    function: Callable[[], Tensor],
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
) -> Tensor:
    """What `function` returns, which calls a network in evaluation with these
    parameters and state, of which others may be there beside its own."""
    calls = _calls.get()
    if calls is None or any(map(_changes, (*inputs, *tensors.values()))):
        return function()
    names = {*_names(network)} & {*tensors}
    own = tuple((name, *_place(tensors[name])) for name in sorted(names))
    key = (id(network), precision_here(), own, *map(_place, inputs))
    if key not in calls:
        calls[key] = function(), (network, tensors, inputs)
    return calls[key][0]


def _names(network: nn.Module) -> Iterator[str]:
    """Of its parameters and buffers, empty ones too: a call may fill them."""
    for prefix, module in network.named_modules():
        for name in (*module._parameters, *module._buffers):
            yield f"{prefix}.{name}" if prefix else name


def _changes(tensor: Tensor) -> bool:
    """Whether more depends on it than what is in it now."""
    return tensor.requires_grad or tensor.is_inference()


def _place(tensor: Tensor) -> tuple[Hashable, ...]:
    """Where its values are, and how often they were changed."""
    where = tensor.data_ptr(), tuple(tensor.shape), tensor.stride()
    return *where, tensor.dtype, str(tensor.device), tensor._version
