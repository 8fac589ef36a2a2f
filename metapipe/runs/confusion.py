"""Which classes a run takes for which others.

The store keeps no predictions. The episodes of an evaluation are drawn again from their
integers, and predicted by the checkpoint that was judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch

from ..data.resized_source import fitted
from ..episode import Episodes, Task
from ..errors import NotFoundError, UnsupportedError, UsageError
from ..experiment.registry import Registry
from ..problem import Split
from ..shown import Shown
from ..store import StoreReader, TaskStore
from ..store.records import EvaluationRow, RunRow
from ..training.evaluation import BATCH, WINDOW, QueryMode, labels, together
from ..training.intervals import wilson
from .ensembles import judged_checkpoints, judged_learner
from .replay import as_evaluated
from .splits import open_split
from .stored_run import encoder_of, require_same_data


@dataclass(frozen=True)
class Pair:
    """A class that is taken for another."""

    true: str
    predicted: str
    wrong: int
    """Queries of the one that were taken for the other."""

    of: int
    """Queries of the one in episodes that had both."""

    share: float


@dataclass(frozen=True)
class OfClass:
    """How a class fares."""

    name: str
    queries: int
    accuracy: float


@dataclass(frozen=True)
class Confusion(Shown):
    """What became of the queries of an evaluation, by classes."""

    run_id: int
    evaluation: EvaluationRow
    checkpoint: str
    """Which of the run's checkpoints predicted: best or latest, or the mean of best
    and best-2."""

    episodes: int
    accuracy: float
    """Of the predictions made now; the evaluation has its own."""

    pairs: tuple[Pair, ...]
    """Those that were confused, the worst first: by the lower end of the interval of
    their share, so that a pair that was hardly met does not lead."""

    classes: tuple[OfClass, ...]
    """All that were met, the worst first."""


@dataclass
class _Counts:
    """Queries by class, by pairs that met, and by pairs that were confused."""

    queries: Counter[int] = field(default_factory=Counter)
    met: Counter[tuple[int, int]] = field(default_factory=Counter)
    given: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, classes: list[int], true: list[int], predicted: list[int]) -> None:
        """An episode's queries, as classes of the data set."""
        here = Counter(true)
        self.queries.update(here)
        self.given.update(zip(true, predicted, strict=True))
        for one, count in here.items():
            for other in classes:
                self.met[one, other] += count


def confusion(
    store: TaskStore,
    registry: Registry,
    run: int | str,
    evaluation: int | None = None,
) -> Confusion:
    """The classes that a run confuses in an evaluation, its newest test if none is
    named.

    Raises UnsupportedError where there are no classes, or the data were files,
    CheckpointError if the checkpoint that was judged is gone, DataError for other data.
    """
    row = store.run(run)
    judged = _judged(store, row, evaluation)
    checkpoints = judged_checkpoints(store, row, judged)
    experiment = as_evaluated(row, judged, judged.dataset, registry)
    opened = open_split(experiment, cast(Split, judged.split))
    require_same_data(judged.fingerprint, opened)
    found = list(checkpoints.values())
    learner, meta = judged_learner(experiment, found, row, judged)
    source = fitted(opened, learner.problem, judged.dataset, encoder_of(row, registry))
    counts, episodes = _Counts(), 0
    for tasks in _tasks(store, judged):
        torch.manual_seed(tasks[0].seed)  # as the evaluation did
        drawn = source.draw(tasks)
        how = cast(QueryMode, judged.prediction)
        _count(counts, drawn, labels(learner, meta, drawn.to(learner.device), how))
        episodes += len(tasks)
    if not episodes:
        raise NotFoundError(f"evaluation {judged.id} has no episodes in the store")
    names = source.facts.classes
    right = sum(n for (one, other), n in counts.given.items() if one == other)
    return Confusion(
        row.id,
        judged,
        " and ".join(checkpoints),
        episodes,
        right / counts.queries.total(),
        tuple(sorted(_pairs(counts, names), key=_badness, reverse=True)),
        tuple(sorted(_classes(counts, names), key=lambda c: (c.accuracy, c.name))),
    )


def _judged(store: StoreReader, row: RunRow, number: int | None) -> EvaluationRow:
    """The evaluation that is meant."""
    known = store.evaluations(row.id)
    wanted = [
        e for e in known if (e.purpose == "test" if number is None else e.id == number)
    ]
    if not wanted:
        what = "test" if number is None else f"evaluation {number}"
        has = ", ".join(str(e.id) for e in known[-10:]) or "none"
        raise UsageError(
            f"run {row.id} has no {what} (evaluations: {has}): make one with metapipe "
            f"evaluate {row.id}"
        )
    judged = wanted[-1]
    if judged.split == "new":
        raise UnsupportedError(
            f"evaluation {judged.id} is of files that were handed in: metapipe adapt "
            "shows the confusions of such"
        )
    if row.controls:
        raise UnsupportedError(
            f"evaluation {judged.id} is of acts in worlds: there are no classes"
        )
    if judged.accuracy is None:
        raise UnsupportedError(
            f"evaluation {judged.id} is of a regression: there are no classes"
        )
    return judged


def _tasks(store: StoreReader, judged: EvaluationRow) -> Iterator[Sequence[Task]]:
    """In the batches in which they were judged."""
    last: int | None = None
    where = f"evaluation_id={judged.id}"
    while page := store.episodes(judged.run_id, where=where, limit=WINDOW, after=last):
        last = page[-1].id
        for batch in together([episode.task for episode in page], BATCH):
            yield [page[place].task for place in batch]


def _count(counts: _Counts, drawn: Episodes, predicted: torch.Tensor) -> None:
    if drawn.class_indices is None:
        raise UnsupportedError("these episodes have no classes")
    classes = drawn.class_indices.cpu()
    true = classes.gather(1, drawn.query.targets.cpu())
    taken_for = classes.gather(1, predicted.cpu())
    for number in range(len(drawn.tasks)):
        rows = (each[number].tolist() for each in (classes, true, taken_for))
        counts.add(*rows)


def _pairs(counts: _Counts, names: Sequence[str]) -> Iterator[Pair]:
    for (one, other), wrong in counts.given.items():
        if one != other:
            of = counts.met[one, other]
            yield Pair(names[one], names[other], wrong, of, wrong / of)


def _badness(pair: Pair) -> tuple[float, int, str, str]:
    return wilson(pair.wrong, pair.of)[0], pair.wrong, pair.true, pair.predicted


def _classes(counts: _Counts, names: Sequence[str]) -> Iterator[OfClass]:
    for one, queries in counts.queries.items():
        yield OfClass(names[one], queries, counts.given[one, one] / queries)
