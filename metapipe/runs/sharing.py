"""How many processes are started here for a training, and what each gets of it."""

from __future__ import annotations

from typing import Literal

import torch

from ..errors import UsageError
from ..experiment.options import Pairs
from ..training_settings import TrainingSettings
from .joining import Place
from .launch import cores
from .requests import plan
from .workspace import Workspace

Processes = int | Literal["auto"]


def shared(
    workspace: Workspace,
    count: Processes | None,
    asked: Pairs,
    from_run: int | str | None = None,
) -> tuple[int, Pairs]:
    """How many are to be started, and the settings of the training: shards that nobody
    gave are as many.

    One where a launcher has started this process, with others or alone. Raises
    UsageError for more than there are shards or tasks.
    """
    wanted = _wanted(workspace, count)
    if wanted == 1:
        return 1, asked
    resolved = plan(workspace, asked, from_run).resolved
    training = resolved.experiment.training
    if "training.shards" in resolved.origins:
        return _counted(wanted, training.shards), asked
    number = _available(training.tasks) if wanted == "auto" else wanted
    if number > training.tasks:
        raise UsageError(
            f"--processes {number}: training.tasks = {training.tasks}; take at most "
            f"{training.tasks} processes, or more tasks"
        )
    return number, [*asked, ("training.shards", number)]


def shared_again(workspace: Workspace, count: Processes | None, run: int | str) -> int:
    """How many are to be started for a run that goes on."""
    wanted = _wanted(workspace, count)
    if wanted == 1:
        return 1
    training = workspace.store.run(run).config.get("training", {})
    return _counted(wanted, TrainingSettings.model_validate(training).shards)


def _wanted(workspace: Workspace, count: Processes | None) -> Processes:
    there = Place.here().size
    if there == 1:
        return workspace.project.processes.count if count is None else count
    if count not in (None, "auto", there):
        raise UsageError(
            f"--processes {count}: this is one of {there} that a launcher has started "
            "(WORLD_SIZE); leave the option out"
        )
    return 1


def _counted(wanted: Processes, shards: int) -> int:
    if wanted == "auto":
        return _available(shards)
    if wanted > shards:
        raise UsageError(
            f"--processes {wanted}: training.shards = {shards}; give --shards "
            f"{wanted}, or at most {shards} processes"
        )
    return wanted


def _available(most: int) -> int:
    """One a GPU, or one a core where there is none."""
    return min(torch.cuda.device_count() or cores(), most)
