"""Which device to compute on, and what it can do."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from ..device_name import DEVICE, no_device
from ..errors import OutOfMemoryError, UsageError
from ..numerics.precision import Precision

TF32_SINCE = (8, 0)
"""The compute capability of the first GPUs that multiply in TF32: Ampere."""

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""With which cuBLAS gives the same bits each time; it reads that when it begins."""

logger = logging.getLogger("metapipe")


def choose_device(wanted: str) -> str:
    """The device to use: "auto" takes the first of CUDA, MPS and CPU.

    Raises UsageError for one that there is none of, on this machine or anywhere.
    """
    device = _chosen(wanted)
    if device.startswith("cuda"):
        os.environ.setdefault(*WORKSPACE)
    return device


def device_at_hand(wanted: str) -> str:
    """The same for what was trained already: where that device is not, another one
    will do, which is told."""
    try:
        return choose_device(wanted)
    except UsageError as error:
        device = choose_device("auto")
        logger.warning("%s: %s takes its place", str(error).partition(";")[0], device)
        return device


def require_precision(precision: Precision, device: str) -> None:
    """Raise UsageError for a precision that the device does not have."""
    if precision == "tf32" and not _has_tf32(device):
        raise UsageError(
            f"run.precision = 'tf32': only NVIDIA's GPUs have it, from Ampere on, and "
            f"this computes on {device}; use float32"
        )


def require_execution(execution: str, device: str) -> None:
    """Raise UsageError for an execution that cannot be on the device of this
    machine."""
    if (reason := _missing(execution, device)) is not None:
        raise UsageError(f"training.execution = '{execution}': {reason}; use eager")


def has_execution(execution: str, device: str) -> bool:
    """Whether it can be."""
    return _missing(execution, device) is None


def precision_at_hand(precision: Precision, device: str) -> Precision:
    """The same for what was trained already: float32 where the device has no other."""
    return "float32" if precision == "tf32" and not _has_tf32(device) else precision


@contextmanager
def memory_told(device: str) -> Iterator[None]:
    """Raise OutOfMemoryError, with what to do, where something inside has too little
    memory on a GPU."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        free, total = torch.cuda.mem_get_info(device)
        ours = torch.cuda.max_memory_allocated(device)
        raise OutOfMemoryError(
            f"{device} has too little memory: of {total / 1e9:.1f} GB this process "
            f"wanted more than {ours / 1e9:.1f}, and {free / 1e9:.1f} are free; let "
            "less be kept at a time by --shards, --mapping loop (or chunks with a "
            "smaller --chunk), or --recompute"
        ) from error


def _chosen(wanted: str) -> str:
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if not DEVICE.fullmatch(wanted):
        raise UsageError(f"run.device = {wanted!r}: {no_device(wanted)}")
    if wanted.startswith("cuda"):
        _require_cuda(wanted)
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UsageError("run.device = 'mps': this machine has no MPS; use 'auto'")
    return wanted


def _require_cuda(wanted: str) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError(
            f"run.device = '{wanted}': this machine has no CUDA; use 'auto'"
        )
    number = wanted.partition(":")[2] or "0"
    if int(number) >= count:
        raise UsageError(
            f"run.device = '{wanted}': this machine has {count}; "
            f"use 'cuda:{count - 1}' or 'auto'"
        )


def _missing(execution: str, device: str) -> str | None:
    """What there has to be for an execution, and is not."""
    cuda = device.startswith("cuda")
    if execution == "graph" and not cuda:
        return f"CUDA graphs want an NVIDIA GPU, and this computes on {device}"
    if execution != "compile":
        return None
    if cuda:
        return (
            None if find_spec("triton") else "there is no Triton (pip install triton)"
        )
    usual = "clang++" if sys.platform == "darwin" else "g++"
    name = os.environ.get("CXX", usual)
    if shutil.which(name):
        return None
    return f"there is no C++ compiler {name} (install {usual}, or set CXX)"


def _has_tf32(device: str) -> bool:
    if not device.startswith("cuda") or torch.version.cuda is None:
        return False
    return torch.cuda.get_device_capability(device) >= TF32_SINCE
