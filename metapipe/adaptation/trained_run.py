"""A run that was trained, opened to be adapted: no data needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..algorithm import Meta
from ..encoder import Encoder
from ..episode import Samples
from ..errors import UnsupportedError, UsageError
from ..events import EpisodeRecord
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..problem import Problem
from ..runs.stored_run import (
    changed_after_training,
    encoder_of,
    stored_checkpoint,
    trained_learner,
    trained_run,
)
from ..store import TaskStore
from ..store.records import NewEvaluation, RunRow
from ..training.checkpoint import Checkpoint
from ..training.learner import Learner
from .adapted_model import AdaptedModel, ModelOrigin, adapt
from .examples import Item


@dataclass(frozen=True)
class TrainedRun:
    """A run with its learner and the meta-parameters of a checkpoint."""

    row: RunRow
    experiment: Experiment
    learner: Learner
    meta: Meta
    checkpoint: Checkpoint
    encoder: Encoder | None
    licence: str | None = None
    source: str | None = None
    """Of the backbone whose vectors it was trained on, if it was."""

    def __str__(self) -> str:
        return f"run {self.row.id}"

    @property
    def problem(self) -> Problem:
        """What it learned to do."""
        return self.learner.problem

    @property
    def ways(self) -> int | None:
        """Classes of a task; None for an algorithm that learns any number."""
        any_ways = self.learner.algorithm.any_ways
        return None if any_ways else self.problem.outputs

    @property
    def step(self) -> int:
        """Meta-iterations done at its checkpoint."""
        return self.checkpoint.step

    @property
    def sha256(self) -> str:
        """Of its checkpoint."""
        return self.checkpoint.sha256

    def record(
        self,
        store: TaskStore,
        project: Path,
        new: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
    ) -> tuple[int, int]:
        """Keep an adaptation as an evaluation of the run; returns the ids of both."""
        number = store.record_evaluation(self.row.id, new, episodes, of_the_run=False)
        return self.row.id, number

    def adapt(
        self, support: Samples, classes: Sequence[str], items: Sequence[Item] = ()
    ) -> AdaptedModel:
        """Learn a task; see `metapipe.adaptation.adapted_model.adapt`."""
        tables = self.experiment.unobserved().to_dict()
        origin = ModelOrigin(
            algorithm=self.row.algorithm,
            model=self.row.model,
            settings={name: tables[name] for name in ("algorithm", "model")},
            run=f"run {self.row.id}" + (f" ({self.row.name})" if self.row.name else ""),
            plugins=self.row.plugins,
            licence=self.licence,
            source=self.source,
        )
        return adapt(
            self.learner, self.meta, support, classes, self.encoder, origin, items
        )

    def require_encoder(self) -> Encoder:
        """Raise UsageError if nobody knows how new items become inputs."""
        if self.encoder is None:
            raise UsageError(
                f"run {self.row.id} learned on {self.row.dataset}, which does not tell "
                "how new items become inputs: train on a data set that does"
            )
        return self.encoder


def open_run(
    store: TaskStore,
    registry: Registry,
    run: str | int,
    which: str = "best",
    changes: Mapping[str, Any] | None = None,
) -> TrainedRun:
    """A run of the store, ready to adapt; `changes` are settings of its algorithm.

    The problem and the encoder are those recorded with the run: no data needed. Raises
    UnsupportedError for one that learned to act in worlds.
    """
    row = trained_run(store, run)
    if row.controls:
        raise UnsupportedError(
            f"run {row.id} learned to act in worlds of {row.dataset}, and no files can "
            f"be: let it adapt there by metapipe evaluate {row.id}, with --dataset or "
            "-s dataset.NAME=VALUE for others"
        )
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    experiment = changed_after_training(experiment, registry, changes or {}, row)
    checkpoint = stored_checkpoint(store, row, which)
    learner, meta = trained_learner(experiment, checkpoint, row)
    learner = replace(learner, precision="float32")  # as it will be used anywhere
    encoder = encoder_of(row, registry)
    name = row.config["dataset"].get("backbone")
    cls: Any = registry.entry("backbone", name).cls if name else None
    whose = (cls.licence, cls.source) if cls else ()
    return TrainedRun(row, experiment, learner, meta, checkpoint, encoder, *whose)
