"""What people put on a run that begins: tags, and a note."""

from __future__ import annotations

from dataclasses import dataclass

from ..store import TaskStore
from ..store.tags import checked, checked_note


@dataclass(frozen=True)
class Labels:
    """Words to find a run by, and a note on it."""

    tags: tuple[str, ...] = ()
    note: str | None = None

    def check(self) -> None:
        """Raises UsageError for what is no tag or no note."""
        for tag in self.tags:
            checked(tag)
        checked_note(self.note or "")

    def put(self, store: TaskStore, run_id: int) -> None:
        """Write them."""
        if self.tags:
            store.tag(run_id, self.tags)
        if self.note:
            store.note(run_id, self.note)


UNLABELLED = Labels()
