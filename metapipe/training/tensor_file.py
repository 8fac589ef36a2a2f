"""Tensors in a safetensors file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..episode import Params


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> str:
    """Write aside, sync and rename; returns the file's SHA-256. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        aside.touch()
        mode = aside.stat().st_mode  # as the umask has it; the library's own is 0600
        save_file(contiguous, aside, metadata=metadata)
        aside.chmod(mode)
        with aside.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return sha256


def named(tensors: Mapping[str, Tensor], prefix: str, device: str) -> Params:
    """Those whose name begins with `prefix`, without it, on a device.

    Copied, since a tensor in a file lies at any address: where torch's own begin at
    multiples of 64 bytes, a matrix product can round otherwise.
    """
    return {
        name.removeprefix(prefix): tensor.to(device, copy=True)
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """By name."""
    return {name: tensor.shape for name, tensor in tensors.items()}
