"""The task store: what ran, with what, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from sqlalchemy.orm import Session

from . import deletion, recording, tags
from .liveness import require_idle
from .migrate import require_current
from .records import RunRow
from .run_writer import RunWriter
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
    def open(cls, url: str, *, wait: float = WAIT) -> Self:
        """Connect; a new database gets its tables. What is written later waits so many
        seconds for a database that cannot be reached.

        Raises StoreError if the database cannot be reached, and OutdatedSchemaError if
        another version of metapipe made it.
        """
        store = cls(url, wait)
        try:
            require_current(store._database)
        except BaseException:
            store.close()
            raise
        return store

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
                require_idle(session, row.id)
            deletion.run(session, row.id)

        self._database.write(write)
        return row
