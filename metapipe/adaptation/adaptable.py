"""What a new task can be learned with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..encoder import Encoder
from ..episode import Samples
from ..events import EpisodeRecord
from ..problem import Problem
from ..store import TaskStore
from ..store.records import NewEvaluation
from .adapted_model import AdaptedModel
from .examples import Item


class Adaptable(Protocol):
    """What learns a task from examples: a trained run, or a head on a backbone."""

    @property
    def problem(self) -> Problem:
        """The kind of task and the shape of an input."""

    @property
    def ways(self) -> int | None:
        """How many classes a task has to have; None if any number will do."""

    @property
    def encoder(self) -> Encoder | None:
        """How new items become inputs, if that is known."""

    @property
    def step(self) -> int:
        """Meta-iterations behind it."""

    @property
    def sha256(self) -> str | None:
        """Of the checkpoint it was read from, if any."""

    def require_encoder(self) -> Encoder:
        """Raise UsageError if nobody knows how new items become inputs."""

    def adapt(
        self, support: Samples, classes: Sequence[str], items: Sequence[Item] = ()
    ) -> AdaptedModel:
        """Learn a task from inputs (n, *shape) and labels (n,) of `classes`, made from
        `items`."""

    def record(
        self,
        store: TaskStore,
        project: Path,
        new: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
    ) -> tuple[int, int]:
        """Keep an adaptation in the store: ids of the run and of the evaluation."""
