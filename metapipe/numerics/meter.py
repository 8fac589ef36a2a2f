"""What work on a device takes: time, and memory there."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import torch

from .memory import available_memory, resident_memory


class Meter:
    """Of the machine's own processors and memory, which a process that has freed some
    keeps."""

    calls_first = 1
    """Calls until one is as all others will be."""

    def seconds(self, work: Callable[[], object]) -> float:
        """How long a call takes, from an idle device to an idle device."""
        self.wait()
        begun = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - begun

    def begin(self) -> int:
        """Bytes in use before something is measured."""
        return resident_memory()

    def most(self) -> int:
        """Bytes that were in use at most, since."""
        return resident_memory()

    def left(self) -> int:
        """Bytes that can still be had."""
        return available_memory()

    def wait(self) -> None:
        """Until all is done that was begun: nothing is begun here that is not."""

    def clear(self) -> None:
        """Give back what nobody uses, after there was too little."""


class GPUMeter(Meter):
    """Of an NVIDIA GPU: it works on while Python goes ahead, and loads its kernels when
    they are called first."""

    calls_first = 2

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def begin(self) -> int:
        """Of tensors, and nothing that is kept for others."""
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)

    def most(self) -> int:
        """Of tensors."""
        return torch.cuda.max_memory_allocated(self.device)

    def left(self) -> int:
        """Of the card, and of what torch keeps for new tensors."""
        free, _ = torch.cuda.mem_get_info(self.device)
        kept = torch.cuda.memory_reserved(self.device)
        return free + kept - torch.cuda.memory_allocated(self.device)

    def wait(self) -> None:
        """Until it is idle."""
        torch.cuda.synchronize(self.device)

    def clear(self) -> None:
        """Its tensors first: cycles may hold some."""
        gc.collect()
        torch.cuda.empty_cache()


class MPSMeter(Meter):
    """Of Apple's GPU, which has the machine's memory."""

    calls_first = 2

    def wait(self) -> None:
        """Until it is idle."""
        torch.mps.synchronize()


def meter_of(device: str) -> Meter:
    """What measures there."""
    if device.startswith("cuda"):
        return GPUMeter(device)
    return MPSMeter() if device == "mps" else Meter()
