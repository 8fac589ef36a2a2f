"""Where a run's figures come from: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..numerics.kernels import settled_kernels, switches
from ..numerics.precision import Precision
from ..version import __version__


def environment(device: str, precision: Precision = "float32") -> dict[str, Any]:
    """What a run's figures may depend on beside its experiment, computed there and in
    this precision."""
    return {
        "metapipe": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        **(_gpu(device, precision) if device.startswith("cuda") else {}),
    }


def _gpu(device: str, precision: Precision) -> dict[str, Any]:
    """The card, what drives it, and the switches that decide its bits."""
    with settled_kernels(device, precision == "tf32"):
        settled = switches()
    cudnn: Any = torch.backends.cudnn
    return {
        "gpu": torch.cuda.get_device_name(device),
        "driver": _driver(),
        "cudnn": cudnn.version(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        **settled,
    }


@cache
def _driver() -> str | None:
    """The version of NVIDIA's driver, as far as the system tells it."""
    with suppress(OSError):
        told = Path("/proc/driver/nvidia/version").read_text(errors="replace")
        if found := re.search(r"\b\d+\.\d+(\.\d+)?\b", told):
            return found[0]
    return None


@cache
def processor() -> str:
    """The name of this machine's processor, as far as the system tells it: on another
    one the same sums can be rounded otherwise."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def git_state(directory: Path) -> tuple[str | None, bool | None]:
    """Commit of the user's project, and whether it has uncommitted changes."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        return commit, bool(_git(directory, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
