"""The task store: what ran, with what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from ..errors import DataError, UsageError
from . import deletion, prunings, recording, tags, transfer
from .address import NOWHERE
from .engine import make_room
from .liveness import require_still
from .migrate import is_begun, require_current
from .pruning_rule import PruningRule
from .records import CheckpointRow, RunRow
from .run_writer import RunWriter
from .transfer import Row
from .waiting import WAIT


class TaskStore(RunWriter):
    """A store at a database URL. Open it with `TaskStore.open`; ask it what
    `StoreReader` tells.

    **Transactions.** Each method is one: it happens as a whole or not at all, whenever
    its process dies, and what it wrote is seen by whoever asks afterwards, in this
    process or another.

    **Processes and threads.** Any number of processes may use a store at once, on
    SQLite those of one machine; writers wait for one another. Threads may share an
    opened store. A child process opens its own: connections are not inherited.

    **Who may write.** Questions write nothing, nor does opening a store that is as this
    version needs it. The records of a run are its process's to write: of the opened
    store that began or last reopened it. Once another has reopened it, all of them
    raise ClaimError, and its process stops. Evaluations that are not `of_the_run`, tags
    and notes are anybody's, at any time, and so is deletion.

    **Running runs.** A run is running until it is finished or its process dies: then it
    is `lost`, wherever that is asked. A run that is thought lost and heard again is
    running. Only a run that is not running can be reopened, and of those who try at
    once one gets it.

    **Servers that restart.** A database that cannot be reached is waited for: by who
    writes for `wait` seconds, which is told on stderr, by who asks for a few. What was
    under way is then done once, whether the answer got lost or the question. Then
    UnreachableError is raised.

    **Power cuts.** Training's figures and episodes may be lost with all that came after
    them; everything else is on disk when its method returns.

    All methods raise StoreError if the database fails.
    """

    @classmethod
    def open(cls, url: str, *, wait: float = WAIT, runs: Path | None = None) -> Self:
        """Connect; a new database gets its tables. What is written later waits so many
        seconds for a database that cannot be reached. Directories of runs that are no
        longer where they were are looked for in the folder `runs`.

        Raises StoreError if the database cannot be reached, and OutdatedSchemaError if
        another version of metapipe made it.
        """
        make_room(url)
        store = cls(url, wait)
        store._database.runs = runs
        try:
            require_current(store._database)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def find(
        cls, url: str, *, wait: float = WAIT, runs: Path | None = None
    ) -> Self | None:
        """Connect as `open` does to a store that somebody began; None if nobody did.
        Nothing is made or written.

        Raises StoreError as `open` does, and for another program's database.
        """
        store = cls(url, wait)
        store._database.runs = runs
        try:
            if is_begun(store._database):
                require_current(store._database)
                return store
        except BaseException:
            store.close()
            raise
        store.close()
        return None

    @classmethod
    def empty(cls) -> Self:
        """A store without runs, which is nowhere: nothing written to it is kept."""
        return cls(NOWHERE)

    def tag(
        self, run_id: int, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> None:
        """Put tags on a run and take others off.

        Raises UsageError for what is no tag, NotFoundError.
        """
        self._database.write(
            lambda session, _: tags.change(session, run_id, add, remove)
        )

    def note(self, run_id: int, text: str | None) -> None:
        """Write down something about a run, in place of what was. Raises UsageError
        for what is no text, NotFoundError."""
        notes = tags.checked_note(text or "")
        self._database.write(
            lambda session, _: recording.change(session, run_id, notes=notes)
        )

    def delete_run(self, run_id: int, *, idle_only: bool = False) -> RunRow:
        """Remove a run with all its rows; its files are the caller's to remove.

        Raises UsageError if it is running and only an idle one is to be removed.
        """
        row = self.run(run_id)

        def write(session: Session, again: bool) -> None:
            if idle_only and not again:
                require_still(session, row.id)
            deletion.run(session, row.id)

        self._database.write(write)
        return row

    def receive(
        self,
        arriving: Callable[[], Generator[Row, None, None]],
        directories: Mapping[str, Path],
        skip: Collection[str] = (),
    ) -> dict[str, int]:
        """Write runs that another store sent, all or none, but for those whose uid is
        to be skipped; returns their new ids by uid. `directories` has their files.

        Raises UsageError if one of them is here already, DataError for rows that cannot
        be.
        """

        def place(uid: str) -> str:
            if uid not in directories:
                raise DataError(f"run {uid} is not announced")
            return self._database.kept(directories[uid])

        def write(session: Session, again: bool) -> dict[str, int]:
            known = {uid: transfer.find(session, uid) for uid in directories}
            here = {uid: found for uid, found in known.items() if found is not None}
            if again and here and len(here) == len(directories):
                return here
            if here:
                run_id = next(iter(here.values()))
                raise UsageError(f"run {run_id} of this store is one of them")
            with closing(arriving()) as rows:
                new = transfer.receive(session, rows, skip=skip, place=place)
            if missing := set(directories) - set(new):
                raise DataError(f"there is no row of run {min(missing)}")
            return new

        return self._database.write(write)

    def prune(
        self, run_id: int, rule: PruningRule
    ) -> tuple[list[CheckpointRow], list[tuple[int | None, int]]]:
        """Take from a run what a rule says, and remember that; returns checkpoints,
        whose files are the caller's to remove, and numbers of episodes by evaluation.

        Raises UsageError if the run is running, NotFoundError.
        """
        checkpoints, episodes = self._database.write(
            lambda session, _: prunings.prune(session, run_id, rule)
        )
        found = self._database.found
        return [replace(row, path=found(row.path)) for row in checkpoints], episodes

    def compact(self) -> None:
        """Give the room of what was deleted back to the disk; a server does that by
        itself."""
        if self.home is not None:
            with self._database.translated():
                connection = self._database.engine.raw_connection()
                try:  # outside of a transaction
                    connection.cursor().execute("VACUUM")
                finally:
                    connection.close()
