"""Which device to compute on."""

from __future__ import annotations

import torch

from ..errors import UsageError, did_you_mean


def choose_device(wanted: str) -> str:
    """The device to use: "auto" takes the first of CUDA, MPS and CPU."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(_no_device(wanted)) from error
    return wanted


def _no_device(wanted: str) -> str:
    known = ["auto", "cpu", "cuda", "mps"]
    family = wanted.partition(":")[0]
    if family in known:
        return f"run.device = '{wanted}': this machine has no such device; try 'auto'"
    return f"run.device = '{wanted}' is no device; {did_you_mean(family, known)}"
