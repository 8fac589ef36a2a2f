"""Which device to compute on."""

from __future__ import annotations

import torch

from ..device_name import DEVICE, no_device
from ..errors import UsageError


def choose_device(wanted: str) -> str:
    """The device to use: "auto" takes the first of CUDA, MPS and CPU.

    Raises UsageError for one that there is none of, on this machine or anywhere.
    """
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
