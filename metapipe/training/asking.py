"""Whether work on a device asks something of the CPU in between: numbers that Python
then knows, values that it hands over. A recording would know those of the first time
for ever, and CUDA refuses to make one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _python_dispatch

from ..errors import UnsupportedError
from ..numerics.random_state import RandomState

COPIES = ("_to_copy", "copy_")
ASKING = (
    *("_local_scalar_dense", "equal", "nonzero", "masked_select"),
    *("_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"),
)
"""Operations whose result, or its size, the CPU waits for, by torch's names."""


_Mode: Any = _python_dispatch.TorchDispatchMode


@contextmanager
def asking_nothing() -> Iterator[None]:
    """Raise UnsupportedError, which names the operation, if something inside asks the
    CPU, or draws random numbers there."""
    before = RandomState.at(torch.device("cpu"))
    with _Watch():
        yield
    if before.moved():
        raise UnsupportedError("it draws random numbers on the CPU")


class _Watch(_Mode):  # type: ignore[misc]  # torch has no types for it
    """Sees all operations of this thread."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in ASKING or (name == "index" and _by_mask(args[1])):
            raise UnsupportedError(f"it waits for the CPU in between ({name})")
        result = func(*args, **(kwargs or {}))
        if name in COPIES:
            devices = {t.device.type for t in (*args, result) if isinstance(t, Tensor)}
            if len(devices) > 1:
                raise UnsupportedError(
                    f"it copies from {' to '.join(sorted(devices))} in between"
                )
        return result


def _by_mask(indices: Any) -> bool:
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)
