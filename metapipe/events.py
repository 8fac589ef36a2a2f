"""What observers of a run are told: small frozen records, no tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .episode import Task
from .problem import Kind


@dataclass(frozen=True)
class RunInfo:
    """A run as its observers see it."""

    id: int
    name: str | None
    experiment: Mapping[str, Any]
    """The resolved experiment, as the store keeps it."""

    directory: Path
    """Where checkpoints are written, and observers may write: it is there when the run
    starts. `metapipe runs delete` leaves files of others in it, and says so."""

    step: int
    """Meta-iterations already done when the run started or was resumed."""

    iterations: int
    """Meta-iterations the run will have done in the end."""

    kind: Kind | None = None
    """What is asked of the learner; of control a loss is minus a return."""

    tags: tuple[str, ...] = ()
    """Words that its owner put on it."""

    note: str | None = None
    """What its owner wants remembered of it."""

    @property
    def identity(self) -> str:
        """What no other run has, in any store, and the run keeps when it is resumed."""
        return self.directory.name

    @property
    def settings(self) -> dict[str, Any]:
        """All of its settings by dotted name: `training.lr`."""
        return {
            f"{table}.{name}": value
            for table, values in self.experiment.items()
            for name, value in values.items()
        }


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint file and what identifies it."""

    path: Path
    sha256: str
    bytes: int
    step: int
    which: str
    """latest, best, or best-2 and so on: the second of the best, where more are
    kept."""


@dataclass(frozen=True)
class EvaluationInfo:
    """What an evaluation came to: figures over episodes that were drawn alike."""

    purpose: str
    """validation or test."""

    dataset: str
    split: str
    step: int
    """Meta-iterations that the parameters had which were judged."""

    episodes: int
    ways: int
    shots: int
    queries: int
    transductive: bool
    """Whether a prediction depends on the other queries."""

    figures: Mapping[str, tuple[float, float]]
    """Means over the episodes, each with half the width of its 95 % interval: `loss`,
    `accuracy` where there are classes, and what else the method reports."""

    ways_to: int | None = None
    shots_to: int | None = None
    """The most, where each episode has ways or shots of its own; `ways` and `shots`
    are then the least."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """What became of one episode: a row of the task store.

    Losses are means over the query set (nats, or squared error); accuracies are
    fractions of it. `None` where the figure does not exist: no accuracy in regression,
    nothing before adaptation for methods that have no unadapted predictor.
    """

    task: Task
    step: int
    """Meta-iterations done when the episode was met."""

    loss: float
    loss_before: float | None = None
    accuracy: float | None = None
    accuracy_before: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures by name."""

    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Figures at each of several places, such as after each step of adaptation; the
    store keeps their means with the evaluation."""
