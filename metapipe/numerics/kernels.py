"""Which kernels an NVIDIA GPU takes: those of a precision, and that give the same bits
each time.

Torch's switches for that are the whole process's. They are set while something is
computed, definitely, whatever they were, and put back afterwards.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import backends

PRECISION = "fp32_precision"
WARN = 1
"""Of torch's modes for operations that have no deterministic kernel: tell of them."""

_memory: Any = import_module("torch.utils.deterministic")
_lock = threading.Lock()
_open: list[_Scope] = []
_before: list[_Switches] = []


@contextmanager
def settled_kernels(device: str, tf32: bool) -> Iterator[None]:
    """Inside, products of matrices and convolutions on a GPU are of IEEE float32, or of
    TF32 if it is said so; and operations that have a deterministic kernel take it.

    What has none is told of once, by torch's own warning. Nothing happens for other
    devices. Of several threads, or scopes in each other, the last that came decides.
    """
    if not device.startswith("cuda"):
        yield
        return
    scope = _Scope(tf32)
    with _lock:
        _quieten()
        if not _open:
            _before[:] = [_read()]
        _open.append(scope)
        _settle(tf32)
    try:
        yield
    finally:
        with _lock:
            _open.remove(scope)
            if _open:
                _settle(_open[-1].tf32)
            else:
                _write(_before.pop())


def switches() -> dict[str, Any]:
    """What decides bits on a GPU, as it is now: JSON-able."""
    return {
        "tf32_matmul": _in_tf32("matmul", backends.cuda.matmul),
        "tf32_cudnn": _in_tf32("conv", backends.cudnn),
        "cudnn_deterministic": backends.cudnn.deterministic,
        "cudnn_benchmark": backends.cudnn.benchmark,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }


class _Scope:
    """One that is open: told from others by what it is."""

    def __init__(self, tf32: bool) -> None:
        self.tf32 = tf32


class _Switches(NamedTuple):
    """All that is changed."""

    matmul: str | None
    """None where torch does not say, since it was set by the finer names alone."""

    cudnn: bool | None
    finer: Mapping[str, str]
    deterministic: bool
    benchmark: bool
    mode: int
    fills: bool


def _finer() -> dict[str, Any]:
    """What has an `fp32_precision` of its own, since torch 2.9."""
    if not hasattr(backends, PRECISION):
        return {}
    cudnn: Any = backends.cudnn
    mkldnn: Any = backends.mkldnn
    places = {
        "matmul": backends.cuda.matmul,
        "conv": cudnn.conv,
        "rnn": cudnn.rnn,
        "of the CPU": mkldnn.matmul,
    }
    return {n: place for n, place in places.items() if hasattr(place, PRECISION)}


def _settle(tf32: bool) -> None:
    """By the older names, which others may read, and by the finer ones, which decide
    where a whole backend was set to another precision."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    backends.cudnn.allow_tf32 = tf32
    for name, place in _finer().items():
        if name != "of the CPU":
            place.fp32_precision = "tf32" if tf32 else "ieee"
    backends.cudnn.deterministic = True
    backends.cudnn.benchmark = False
    torch.set_deterministic_debug_mode(max(torch.get_deterministic_debug_mode(), WARN))
    _memory.fill_uninitialized_memory = False


def _read() -> _Switches:
    matmul = cudnn = None
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        cudnn = backends.cudnn.allow_tf32
    return _Switches(
        matmul,
        cudnn,
        {name: place.fp32_precision for name, place in _finer().items()},
        backends.cudnn.deterministic,
        backends.cudnn.benchmark,
        torch.get_deterministic_debug_mode(),
        _memory.fill_uninitialized_memory,
    )


def _write(known: _Switches) -> None:
    matmul = known.matmul
    if matmul is None:  # so the older name says the opposite of the finer one
        matmul = "highest" if known.finer["matmul"] == "tf32" else "high"
    torch.set_float32_matmul_precision(matmul)
    if known.cudnn is not None:
        backends.cudnn.allow_tf32 = known.cudnn
    for name, place in _finer().items():
        if place.fp32_precision != known.finer[name]:
            place.fp32_precision = known.finer[name]
    backends.cudnn.deterministic = known.deterministic
    backends.cudnn.benchmark = known.benchmark
    torch.set_deterministic_debug_mode(known.mode)
    _memory.fill_uninitialized_memory = known.fills


def _in_tf32(name: str, older: Any) -> bool:
    """By the finer name, or where there is none by the older place."""
    finer = _finer()
    if finer:
        return bool(finer[name].fp32_precision == "tf32")
    return bool(older.allow_tf32)


@cache
def _quieten() -> None:
    """Let torch say now, to nobody, what it says once: that its older names will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _write(_read())
