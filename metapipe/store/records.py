"""Rows of the task store, as typed frozen records.

`dataclasses.asdict` makes each a plain dictionary, ready for JSON or pandas:
`pandas.DataFrame(map(asdict, store.runs()))`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..episode import Task
from ..shown import Shown

Pair = tuple[float | None, float | None]
"""A mean with its 95 % interval; None for what is not a finite number."""


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What is known of a run when it begins."""

    name: str | None
    algorithm: str
    model: str
    dataset: str
    seed: int
    ways: int
    shots: int
    queries: int
    iterations: int
    config: Mapping[str, Any]
    """The resolved experiment: repeats the run."""

    plugins: Mapping[str, str]
    """Distribution and version of each chosen plugin."""

    environment: Mapping[str, Any]
    """What its figures may depend on beside the experiment: versions, machine."""

    git_commit: str | None
    git_dirty: bool | None
    device: str
    mapping: str | None
    parent_id: int | None
    """The run whose experiment this one repeats."""

    directory: str
    host: str
    pid: int
    fingerprint: str | None = None
    """Of the training data: the same fingerprint draws the same episodes."""

    problem: Mapping[str, Any] | None = None
    """What is learned, as `metapipe.Problem` has it: no data needed to adapt."""

    encoder: Mapping[str, Any] | None = None
    """How new items become inputs; None if the data do not tell."""

    backbone: str | None = None
    """The network of others that the run began with."""

    job: str | None = None
    """The cluster's name for what this run is a part of."""

    origins: Mapping[str, str] | None = None
    """Where settings came from, by dotted names: the command line, a file, a
    recommendation; those that are not among them are defaults."""

    study: str | None = None
    trial: int | None = None
    """The search that the run belongs to, and its number there."""


@dataclass(frozen=True, kw_only=True)
class RunRow(NewRun, Shown):
    """A run as stored. Times are UTC; figures are those of the newest test."""

    id: int
    status: str
    """running, completed, interrupted, stopped, failed, or lost: its process died."""

    step: int
    """Meta-iterations done."""

    created: datetime
    heartbeat: datetime
    finished: datetime | None
    train_seconds: float | None
    error: str | None
    reason: str | None
    """Why it stopped or was interrupted."""

    notes: str | None
    tags: tuple[str, ...]
    accuracy: float | None
    accuracy_ci95: float | None
    loss: float | None
    val_accuracy: float | None
    """The best of all validations."""

    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Final figures, by name; None for one that is not a finite number."""

    @property
    def controls(self) -> bool:
        """Whether it learned to act in worlds."""
        return (self.problem or {}).get("kind") == "control"

    @property
    def mean_return(self) -> float | None:
        """Minus the loss, of control; None for other problems."""
        if self.loss is None or not self.controls:
            return None
        return negated(self.loss)


@dataclass(frozen=True)
class Fold:
    """A figure over seeds: each seed counts once, by the mean of its runs."""

    seeds: int
    """Those whose runs have the figure."""

    mean: float | None
    ci95: float | None
    """Half the width of Student's 95 % interval over seeds; None for one seed."""


@dataclass(frozen=True)
class GroupRow:
    """Runs that agree in some fields."""

    group: Mapping[str, Any]
    """Those fields, with the values that the runs share."""

    runs: int
    seeds: int
    figures: Mapping[str, Fold]
    differs: tuple[str, ...]
    """In what else than the seed the runs are not alike: settings by dotted names, and
    status, step, data (fingerprint), device, plugins and commit."""


@dataclass(frozen=True)
class MetricRow:
    """One figure of one meta-iteration."""

    run_id: int
    step: int
    name: str
    value: float


@dataclass(frozen=True, kw_only=True)
class NewEvaluation:
    """Figures over a set of episodes that were drawn alike."""

    purpose: str
    """validation or test."""

    dataset: str
    fingerprint: str
    """Of the data: the same fingerprint draws the same episodes."""

    split: str
    seed: int
    ways: int
    """Classes in an episode; the fewest, if `ways_to` is given."""

    shots: int
    """Support examples a class; the fewest, if `shots_to` is given."""

    queries: int
    step: int
    checkpoint: str | None
    """SHA-256 of the checkpoint; None while training."""

    settings: Mapping[str, Any]
    """What was changed for this evaluation: settings of the algorithm, and of the data
    set as `dataset.NAME`; its support; of an adaptation, its files and counts."""

    prediction: str
    statistics: str
    transductive: bool
    """Whether predictions depend on the other queries."""

    loss: float
    loss_ci95: float
    loss_before: float | None
    accuracy: float | None
    accuracy_ci95: float | None
    accuracy_before: float | None
    seconds: float
    figures: Mapping[str, Pair] = field(default_factory=dict)
    """Further figures by name: means with their 95 % intervals."""

    curves: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    """Figures by name over something counted, such as steps of adaptation."""

    ways_to: int | None = None
    shots_to: int | None = None
    """The most, where each episode has ways or shots of its own."""

    mapping: str | None = None
    """How its tasks were mapped, which decides how sums are rounded; None where that is
    as in training."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRow(NewEvaluation, Shown):
    """An evaluation as stored."""

    id: int
    run_id: int
    episodes: int
    created: datetime

    @property
    def controls(self) -> bool:
        """Whether it is of what was done in worlds."""
        return "return_by_step" in self.curves

    @property
    def mean_return(self) -> float | None:
        """Minus the loss, of control; None for other problems."""
        return negated(self.loss) if self.controls else None


@dataclass(frozen=True)
class EpisodeRow(Shown):
    """An episode as stored: its recipe, and what became of it."""

    id: int
    run_id: int
    evaluation_id: int | None
    """None for a training episode."""

    step: int
    task: Task
    loss: float
    loss_before: float | None
    accuracy: float | None
    accuracy_before: float | None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """Further figures by name; None for one that is not a finite number."""


@dataclass(frozen=True)
class Met:
    """An episode that two evaluations both have, and what became of it in each."""

    losses: tuple[float, float]
    accuracies: tuple[float, float] | None


@dataclass(frozen=True)
class CheckpointRow:
    """A checkpoint as stored."""

    run_id: int
    which: str
    """latest, best, or best-2 and so on: the second of the best."""

    step: int
    path: str
    sha256: str
    bytes: int
    created: datetime


@dataclass(frozen=True)
class PruningRow:
    """What was pruned of a run."""

    run_id: int
    evaluation_id: int | None
    """Whose episodes; None for a checkpoint, and for training episodes."""

    what: str
    """episodes, or which checkpoint: latest or best."""

    created: datetime
    count: int
    """How many episodes; 1 for a checkpoint."""

    bytes: int
    """Of files; 0 for episodes."""

    rule: str
    """Why, in the words of who pruned."""


def negated(loss: float) -> float:
    """A return, of which the loss is minus: 0 of 0, and not -0."""
    return 0.0 - loss
