"""Memory of this process and its machine: how much there is, and that it is kept for
the next iteration instead of given back in between."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from functools import cache

import psutil

from .control_group import left_in_group

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`, from malloc.h."""

NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Let glibc reuse large blocks; returns whether it does.

    By default it gives each block of megabytes back to the kernel when a tensor dies,
    and faults it in again for the next: a third of the time of an iteration of a
    convolutional network on a CPU. Whoever set MALLOC_* in the environment has decided.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if chosen or "GLIBC_TUNABLES" in os.environ or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))


def give_back_freed_memory() -> None:
    """Let glibc give back to the kernel what it keeps, so that what is taken next is
    seen to grow."""
    gc.collect()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def resident_memory() -> int:
    """Bytes that this process holds."""
    return int(psutil.Process().memory_info().rss)


def available_memory() -> int:
    """Bytes that a process can still have without swapping: of the machine, and of its
    container."""
    machine = int(psutil.virtual_memory().available)
    group = left_in_group()
    return machine if group is None else min(machine, group)
