"""Freed memory is kept, unless the user decided otherwise: by real processes."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from metapipe.numerics.memory import keep_freed_memory
kept = {keep}keep_freed_memory()
import torch
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def run(keep: bool, **environment: str) -> tuple[str, int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    program = PROGRAM.format(keep="" if keep else "0 and ")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **environment},
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_blocks_of_megabytes_are_not_faulted_in_again() -> None:
    kept, faults = run(keep=True)
    _, before = run(keep=False, MALLOC_MMAP_THRESHOLD_="100000")
    if kept == "False":
        pytest.skip("another C library than glibc")
    assert faults < before / 10


def test_whoever_chose_has_chosen() -> None:
    assert run(keep=True, MALLOC_ARENA_MAX="2")[0] == "False"
