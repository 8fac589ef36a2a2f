"""How many threads share an operation. That decides how sums are rounded: so it is the
run's, from its beginning on, and not that of the process which goes on with it."""

from __future__ import annotations

import os

import torch

from ..experiment.experiment import Experiment
from ..store.records import RunRow
from .mapping import work_of


def cores() -> int:
    """Those that this process may use, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def recorded_threads(row: RunRow) -> int:
    """Those that a run began with; as many as there are cores, if that were more."""
    threads = row.environment.get("threads") or torch.get_num_threads()
    return min(int(threads), max(cores(), torch.get_num_threads()))


def threads_for(experiment: Experiment, before: RunRow | None) -> int:
    """Those of the run that is gone on with or repeated, if it is the same work; else
    what torch has here, of which each part of a meta-batch gets its share: as if there
    were a process a part, however many there are."""
    if before and work_of(before.config) == work_of(experiment.to_dict()):
        return recorded_threads(before)
    return max(torch.get_num_threads() // experiment.training.shards, 1)
