"""How many processes are started here for a training, and what each gets of it."""

from __future__ import annotations

from typing import Literal

import torch

from ..errors import UsageError
from ..experiment.given import COMMAND_LINE
from ..experiment.options import Pairs
from ..settings import EvaluationSettings
from ..training.evaluation import BATCH
from ..training_settings import TrainingSettings
from .joining import Place
from .requests import changed, plan
from .stored_run import trained_run
from .threads import cores, recorded_threads
from .workspace import Workspace

Processes = int | Literal["auto"]


def shared(
    workspace: Workspace,
    count: Processes | None,
    asked: Pairs,
    from_run: int | str | None = None,
    source: str = COMMAND_LINE,
) -> tuple[int, Pairs]:
    """How many are to be started, and the settings of the training: shards that nobody
    gave are as many.

    One where a launcher has started this process, with others or alone. Raises
    UsageError for more than there are shards or tasks.
    """
    wanted = _wanted(workspace, count)
    if wanted == 1:
        return 1, asked
    resolved = plan(workspace, asked, from_run, source).resolved
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
    """How many are to be started for a run that goes on: of those that the project has,
    no more than it has shards. Raises UsageError for more that are asked for."""
    wanted = _wanted(workspace, count)
    if wanted == 1:
        return 1
    row = workspace.store.run(run)
    training = TrainingSettings.model_validate(row.config.get("training", {}))
    if wanted == "auto":
        return _available(training.shards, recorded_threads(row))
    if count is not None and wanted > training.shards:
        raise UsageError(
            f"--processes {wanted}: run {row.id} keeps training.shards = "
            f"{training.shards}; take --processes {training.shards}, or begin anew "
            f"with metapipe train --from-run {row.id} --shards {wanted}"
        )
    return min(wanted, training.shards)


def shared_evaluation(
    workspace: Workspace,
    count: Processes | None,
    run: int | str,
    asked: Pairs,
    source: str = COMMAND_LINE,
) -> int:
    """How many are to be started for an evaluation by the options `asked`: one, if none
    are asked for. Raises UsageError for more than there are batches to share."""
    wanted = 1 if count is None else _wanted(workspace, count)
    if wanted == 1:
        return 1
    row = trained_run(workspace.store, run)
    own = EvaluationSettings.model_validate(row.config.get("evaluation", {}))
    episodes = changed(own, asked, source).episodes
    batches = -(-episodes // BATCH)
    if wanted == "auto":
        return _available(min(cores(), batches), recorded_threads(row))
    if wanted > batches:
        raise UsageError(
            f"--processes {wanted}: of {episodes} episodes {BATCH} are judged at a "
            f"time; take --processes {batches}, or more episodes"
        )
    return wanted


def _wanted(workspace: Workspace, count: Processes | None) -> Processes:
    if count not in (None, "auto") and (type(count) is not int or count < 1):
        raise UsageError(f"processes = {count!r}: take a number from 1 on, or 'auto'")
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


def _available(most: int, threads: int = 1) -> int:
    """One a GPU, or where there is none one for each so many cores."""
    return min(torch.cuda.device_count() or max(cores() // threads, 1), most)
