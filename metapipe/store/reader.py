"""What may be asked of a task store: anybody may, also without permission to write."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from sqlalchemy import make_url

from . import integrity, prunings, query, transfer
from .address import NOWHERE
from .backup import backing_up, require_place
from .database import Database
from .fault import Fault
from .groups import FIGURES, Grouping, groups, listed
from .paging import Page
from .pruning_rule import PruningRule
from .records import (
    CheckpointRow,
    EpisodeRow,
    EvaluationRow,
    GroupRow,
    Met,
    MetricRow,
    PruningRow,
    RunRow,
)
from .turns import turn
from .waiting import WAIT


class StoreReader:
    """The questions to a store; each is one transaction that changes nothing.

    Every `TaskStore` answers them.
    """

    def __init__(self, url: str, wait: float = WAIT) -> None:
        self._database = Database(url, wait)
        self.url_masked = self._database.masked

    @property
    def is_begun(self) -> bool:
        """Whether it is anywhere: an empty one stands for a store that nobody began."""
        return self._database.engine.url != make_url(NOWHERE)

    @property
    def home(self) -> Path | None:
        """The folder of a SQLite file, below which paths are kept relative; None for a
        store on a server, which keeps them whole."""
        return self._database.home

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the store's runs have their directories: only there are files ever
        removed with them."""
        found = [] if self.home is None else [self.home / "runs"]
        if self._database.runs is not None:
            found.append(self._database.runs)
        return tuple(dict.fromkeys(path.resolve() for path in found))

    def run(self, ref: int | str) -> RunRow:
        """A run by id, by name (the newest of that name), or as "latest".

        Raises NotFoundError.
        """
        with self._database.reading() as session:
            return self._placed(query.run(session, ref))

    def runs(
        self,
        where: str = "",
        *,
        sort: str = "-id",
        limit: int | None = 50,
        offset: int = 0,
        after: int | None = None,
    ) -> list[RunRow]:
        """Runs that match a filter (`algorithm=maml and accuracy>0.9`), sorted.

        A page begins at an `offset`, or after the run of that id: the latter for the
        orders id and -id, and as fast for the last page as for the first. Raises
        FilterError.
        """
        page = Page(limit, offset, after)
        with self._database.reading() as session:
            return [self._placed(row) for row in query.runs(session, where, sort, page)]

    def trials(self, study: str) -> dict[int, tuple[int, str]]:
        """Id and status of the run of each trial of a search, by the trial's number."""
        with self._database.reading() as session:
            return query.trials(session, study)

    def run_of_job(self, job: str) -> RunRow | None:
        """The newest run that was begun by a job of that name."""
        with self._database.reading() as session:
            found = query.of_job(session, job)
            return None if found is None else self._placed(found)

    def turn(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock `name` of this store, while others who want it wait. Raises
        UnreachableError if somebody holds it for too long."""
        return turn(self._database, name)

    def count_runs(self, where: str = "") -> int:
        """How many runs match a filter. Raises FilterError."""
        with self._database.reading() as session:
            return query.count_runs(session, where)

    def groups(
        self,
        by: Sequence[str] | str,
        where: str = "",
        *,
        figures: Sequence[str] | str | None = None,
        ids: Collection[int] | None = None,
        sort: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> list[GroupRow]:
        """Runs that match a filter, or those of `ids`, by groups that agree in the
        fields `by`: `groups(["algorithm", "training.lr"])`.

        Each of the `figures`, which are val_accuracy, accuracy and loss if not given,
        has its mean over seeds, with Student's 95 % interval over the seeds' means; in
        what else the runs of a group differ is told. The database reckons it. The best
        validation comes first, if `sort` does not name others: a field of
        `by`, a figure, runs or seeds. Raises FilterError.
        """
        wanted = FIGURES if figures is None else listed(figures)
        asked = Grouping(listed(by), where, wanted, ids)
        with self._database.reading() as session, query.understood(where):
            return groups(session, asked, sort, Page(limit, offset))

    def metrics(
        self, run_id: int, name: str | None = None, *, most: int | None = None
    ) -> list[MetricRow]:
        """Figures by step, of one name or all; of each name at most so many, if that is
        given: then each is the mean of a stretch of steps, and has the last of them."""
        with self._database.reading() as session:
            return query.metrics(session, run_id, name, most)

    def evaluations(self, run_id: int) -> list[EvaluationRow]:
        """All evaluations of a run, oldest first."""
        with self._database.reading() as session:
            return query.evaluations(session, run_id)

    def evaluation(self, evaluation_id: int) -> EvaluationRow:
        """One evaluation. Raises NotFoundError."""
        with self._database.reading() as session:
            return query.evaluation(session, evaluation_id)

    def pairs(self, one: int, other: int) -> list[Met]:
        """The episodes that two evaluations both have, by the same numbers; the same
        episodes, if data set, fingerprint, split and seed are the same too."""
        with self._database.reading() as session:
            return query.pairs(session, one, other)

    def checkpoints(self, run_id: int) -> list[CheckpointRow]:
        """The best checkpoints, the very best first, and the latest, as far as there
        are any."""
        with self._database.reading() as session:
            rows = query.checkpoints(session, run_id)
        return [replace(row, path=self._database.found(row.path)) for row in rows]

    def prunings(self, run_id: int) -> list[PruningRow]:
        """What was pruned of a run, oldest first."""
        with self._database.reading() as session:
            return query.prunings(session, run_id)

    def episodes(
        self,
        run_id: int,
        *,
        where: str = "",
        sort: str = "id",
        evaluation: int | None = None,
        hardest: int | None = None,
        limit: int | None = 50,
        offset: int = 0,
        after: int | None = None,
    ) -> list[EpisodeRow]:
        """Episodes of a run, or of one `evaluation` of it, that match a filter; or the
        `hardest`, worst first.

        A page begins at an `offset`, or after the episode of that id: the latter for
        the hardest and for the orders id and -id. Raises FilterError, and NotFoundError
        for another run's evaluation.
        """
        page = Page(limit if hardest is None else hardest, offset, after)
        with self._database.reading() as session:
            if evaluation is not None:
                query.require_of_run(session, run_id, evaluation)
            if hardest is not None:
                return query.hardest(session, run_id, where, page, evaluation)
            return query.episodes(session, run_id, where, sort, page, evaluation)

    def count_episodes(self, run_id: int, where: str = "") -> int:
        """How many episodes of a run match a filter. Raises FilterError."""
        with self._database.reading() as session:
            return query.count_episodes(session, run_id, where)

    def episode(self, episode_id: int) -> EpisodeRow:
        """One episode. Raises NotFoundError."""
        with self._database.reading() as session:
            return query.episode(session, episode_id)

    @contextmanager
    def departing(self, run_ids: Sequence[int]) -> Iterator[Iterator[transfer.Row]]:
        """All rows of runs, as they are at one moment, to be written elsewhere."""
        with self._database.snapshot() as session:
            yield transfer.rows(session, run_ids)

    def id_of(self, uid: str) -> int | None:
        """The run that is called so in any store. Raises ValueError for no uid."""
        with self._database.reading() as session:
            return transfer.find(session, uid)

    def require_place(self, path: Path, what: str, *, force: bool) -> None:
        """Raise UsageError where no `what` of this store should be written: a folder,
        the store itself, and what is there, unless by `force`."""
        require_place(self._database, path, what, force=force)

    @contextmanager
    def backing_up(self, path: Path, *, force: bool = False) -> Iterator[Path]:
        """A copy of the store in a SQLite file, which is at `path` in the end."""
        with backing_up(self._database, path, force=force) as aside:
            yield aside

    def faults(self) -> list[Fault]:
        """What is damaged in the database, or contradicts itself."""
        with self._database.snapshot() as session:
            return integrity.faults(session)

    def count_rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with self._database.reading() as session:
            return transfer.count(session)

    def prunable(
        self, run_id: int, rule: PruningRule
    ) -> tuple[list[CheckpointRow], list[tuple[int | None, int]]]:
        """Which checkpoints of a run a rule takes, and how many episodes of which
        evaluations; None is training."""
        with self._database.reading() as session:
            return prunings.prunable(session, run_id, rule)

    def _placed(self, row: RunRow) -> RunRow:
        return replace(row, directory=self._database.found(row.directory))
