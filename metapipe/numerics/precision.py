"""In which precision networks compute, wherever `apply` calls them.

For bfloat16 a network is cast where it is called and nowhere else: its parameters, its
outputs, the losses and the meta-parameters stay in float32. What is set here reaches
worker threads and `vmap`; torch's own autocast around a task map would not. TF32 is how
a GPU multiplies float32: `kernels.py` sets that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

import torch
from torch import Tensor

from .kernels import settled_kernels

Precision = Literal["float32", "tf32", "bfloat16"]

Result = TypeVar("Result")

_precision: ContextVar[Precision] = ContextVar("precision", default="float32")


def precision_here() -> Precision:
    """What networks compute in, in this thread, at this point."""
    return _precision.get()


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Let networks compute so inside."""
    token = _precision.set(precision)
    try:
        yield
    finally:
        _precision.reset(token)


def call(function: Callable[[], Tensor], device: str) -> Tensor:
    """What `function` returns, computed so on `device`, in float32 again."""
    if precision_here() != "bfloat16":
        return function()
    with torch.autocast(device, dtype=torch.bfloat16):
        return function().float()


def exactly(function: Callable[[], Result], device: str) -> Result:
    """What `function` returns, computed in float32 inside a network too: for sums that
    fewer digits would spoil, such as variances. Of TF32 so much for the way forward.
    What `torch.compile` goes through is in float32."""
    if torch.compiler.is_compiling() or precision_here() == "float32":
        return function()
    if precision_here() == "tf32":
        with settled_kernels(device, tf32=False):
            return function()
    with torch.autocast(device, enabled=False):
        return function()
