"""A run of the store, made ready to work again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..algorithm import Meta
from ..data.encoders import encoder_from
from ..dataset import Source
from ..encoder import Encoder
from ..errors import CheckpointError, DataError, NotFoundError, UnsupportedError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..problem import Problem
from ..store import StoreReader
from ..store.records import CheckpointRow, RunRow
from ..training.checkpoint import Checkpoint, load
from ..training.device import device_at_hand, precision_at_hand
from ..training.learner import Learner, fits, random_meta
from ..training.stored_learner import open_learner
from .run_files import is_ours, require_there
from .splits import open_split
from .unseen import require_unseen, shared_items, shared_names

logger = logging.getLogger("metapipe")


def trained_run(store: StoreReader, run: str | int) -> RunRow:
    """A run by number or name; `latest` is the latest that was trained, and not a new
    task that was learned by a backbone. Raises NotFoundError."""
    if run == "latest" and (trained := store.runs("backbone=null", limit=1)):
        return trained[0]
    return store.run(run)


def trained_learner(
    experiment: Experiment, checkpoint: Checkpoint, row: RunRow
) -> tuple[Learner, Meta]:
    """The learner of a run with the meta-parameters of a checkpoint."""
    mapping = LocalTaskMap.parse(row.mapping or "loop")
    return opened_learner(experiment, checkpoint, recorded_problem(row), mapping)


def opened_learner(
    experiment: Experiment,
    checkpoint: Checkpoint,
    problem: Problem,
    mapping: LocalTaskMap,
) -> tuple[Learner, Meta]:
    """The learner of an experiment with the meta-parameters of a checkpoint."""
    device = device_at_hand(experiment.run.device)
    learner, meta = open_learner(
        experiment.algorithm, experiment.model, problem, device, checkpoint.file
    )
    precision = precision_at_hand(experiment.run.precision, device)
    return replace(learner, mapping=mapping, precision=precision), meta


def changed_after_training(
    experiment: Experiment,
    registry: Registry,
    changes: Mapping[str, Any],
    row: RunRow,
) -> Experiment:
    """The experiment with settings of its algorithm changed.

    Raises UnsupportedError for one that needs other parameters, and for one that says
    only where a learned value begins: once it is learned, the setting means nothing.
    """
    if not changes:
        return experiment
    problem, run = recorded_problem(row), experiment.run
    changed = experiment.with_algorithm(registry, changes)
    before, after = (
        random_meta(each.algorithm, each.model, problem, run.seed)
        for each in (experiment, changed)
    )
    if not fits(before, after):
        raise UnsupportedError(
            "these settings need other parameters than those that were trained: they "
            "can be changed for a new run only"
        )
    if not all(
        torch.equal(value, after.params[name]) for name, value in before.params.items()
    ):
        raise UnsupportedError(
            f"{', '.join(sorted(changes))}: where a value begins that this run has "
            "learned since; it can be changed for a new run only"
        )
    return changed


def look_for_trained(
    experiment: Experiment,
    checkpoint: Checkpoint,
    row: RunRow,
    source: Source,
    name: str,
    same: bool,
) -> dict[str, int]:
    """What a run may know of a split of the data set called `name`, to be kept with its
    evaluation: numbers by name, empty if it is all new.

    Of the run's own data set names are enough, unless it has other settings now, and
    `same` is false: then the content is compared too. Raises DataError for classes that
    the run was trained on.
    """
    header = checkpoint.header
    trained_on = [*header.get("classes", ()), *header.get("groups", ())]
    own = name == experiment.run.dataset
    if own:
        require_unseen(trained_on, source, name)
    if own and same:
        return {}
    trained = _trained_data(experiment, row, name)
    items = {} if trained is None else shared_items(trained, source, name)
    return items | shared_names(trained_on, source, name)


def _trained_data(experiment: Experiment, row: RunRow, name: str) -> Source | None:
    """The training split of a run, if it is still there; if not, that is told."""
    try:
        source = open_split(experiment, "train")
        require_same_data(row.fingerprint, source)
    except DataError as error:
        logger.warning("%s: compared with what was trained on by name: %s", name, error)
        return None
    return source


def encoder_of(row: RunRow, registry: Registry) -> Encoder | None:
    """What made the inputs of a run; None if its data set does not tell."""
    return encoder_from(row.encoder, registry.encoders) if row.encoder else None


def recorded_problem(row: RunRow) -> Problem:
    """What a run learned to do. Raises UnsupportedError if nobody wrote it down."""
    if row.problem is None:
        raise UnsupportedError(
            f"run {row.id} does not say what it learned: it was recorded by an early "
            f"metapipe; repeat it with metapipe train --from-run {row.id}"
        )
    return Problem.from_record(row.problem)


def stored_checkpoint(store: StoreReader, row: RunRow, which: str) -> Checkpoint:
    """The wanted checkpoint of a run; the latest where there is no best.

    Raises CheckpointError for one that is missing, damaged, or no file of the run.
    """
    chosen = checkpoint_row(store, row, which)
    path = Path(chosen.path)
    if not is_ours(path, Path(row.directory)):
        raise CheckpointError(
            f"the store names {path} as a checkpoint of run {row.id}, which is no file "
            f"of its folder {row.directory}: left alone"
        )
    try:
        require_there(path, row)
        return load(path, chosen.sha256)
    except CheckpointError as error:
        others = {c.which for c in store.checkpoints(row.id)} - {chosen.which}
        if not others:
            raise
        (other,) = others
        raise CheckpointError(f"{error}; there is also --checkpoint {other}") from error


def checkpoint_row(store: StoreReader, row: RunRow, which: str) -> CheckpointRow:
    """Where that checkpoint is. Raises NotFoundError if the run has none yet."""
    rows: dict[str, CheckpointRow] = {c.which: c for c in store.checkpoints(row.id)}
    chosen = rows.get(which) or rows.get("latest")
    if chosen is None:
        others = "".join(f"; there is also --checkpoint {name}" for name in rows)
        require_unpruned(store, row, others)
        raise NotFoundError(
            f"run {row.id} has no checkpoint yet: it stopped before the first one"
        )
    return chosen


def require_unpruned(store: StoreReader, row: RunRow, others: str = "") -> None:
    """Raise NotFoundError, which says why, if checkpoints of a run were pruned."""
    gone = [each for each in store.prunings(row.id) if each.what != "episodes"]
    if gone:
        names = " and ".join(f"'{each.what}'" for each in gone)
        raise NotFoundError(
            f"run {row.id} has no checkpoint {names} any more: pruned on "
            f"{gone[-1].created:%Y-%m-%d} ({gone[-1].rule}){others}; repeat the run "
            f"with metapipe train --from-run {row.id}"
        )


def require_same_data(recorded: str | None, source: Source) -> None:
    now = source.facts.fingerprint
    if recorded is not None and recorded != now:
        raise DataError(
            f"the data have changed since they were recorded (fingerprint "
            f"{recorded[:12]}, now {now[:12]}): the same numbers would "
            "draw other episodes"
        )
