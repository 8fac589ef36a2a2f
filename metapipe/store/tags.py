"""Words that people put on runs, to find them by."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from ..errors import FilterError, NotFoundError, UsageError
from ..printable import is_text, printable
from .schema import Run, Tag

LONGEST = 100


def change(
    session: Session, run_id: int, add: Collection[str], remove: Collection[str]
) -> None:
    """Put tags on a run and take others off; what is so already stays so.

    Raises UsageError for what is no tag, NotFoundError if there is no such run.
    """
    add, remove = {checked(tag) for tag in add}, {*remove, *map(str.strip, remove)}
    locked = select(Run.id).where(Run.id == run_id).with_for_update(key_share=True)
    if session.scalar(locked) is None:
        raise NotFoundError(f"no run {run_id} in this store")
    ours = Tag.run_id == run_id
    session.execute(delete(Tag).where(ours, Tag.tag.in_([*add, *remove])))
    if rows := [{"run_id": run_id, "tag": tag} for tag in sorted(add)]:
        session.execute(insert(Tag), rows)


def checked(tag: str) -> str:
    """The tag without spaces around it. Raises UsageError for what is none."""
    word = tag.strip()
    if not word or len(tag) > LONGEST:
        raise UsageError(f"a tag has 1 to {LONGEST} characters, not {len(tag)}")
    if printable(word) != word:
        raise UsageError(f"tag {tag!r}: no line breaks, controls or hidden signs")
    return word


def checked_note(text: str) -> str | None:
    """The note, None for an empty one. Raises UsageError for what no database takes
    for text."""
    if not is_text(text):
        raise UsageError("a note has no NUL, and no halves of characters")
    return text.strip() or None


def compare(operator: str, text: str | None) -> ColumnElement[bool]:
    """Whether a run has such a tag; `tag=null`: whether it has none.

    Raises FilterError.
    """
    if operator == "~" and text is not None:
        return Run.tags.any(Tag.tag.icontains(text, autoescape=True))
    if operator not in ("=", "!="):
        raise FilterError("'tag' compares by =, != and ~ only, with null not by ~")
    has = ~Run.tags.any() if text is None else Run.tags.any(Tag.tag == text)
    return has if operator == "=" else ~has
