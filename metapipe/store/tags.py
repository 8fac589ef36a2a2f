"""Words that people put on runs, to find them by."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from ..errors import FilterError, NotFoundError, UsageError
from ..printable import printable
from .schema import Run, Tag

LONGEST = 100


def change(
    session: Session, run_id: int, add: Collection[str], remove: Collection[str]
) -> None:
    """Put tags on a run and take others off; what is so already stays so.

    Raises UsageError for what is no tag, NotFoundError if there is no such run.
    """
    for tag in add:
        if not tag.strip() or len(tag) > LONGEST:
            raise UsageError(f"a tag has 1 to {LONGEST} characters, not {len(tag)}")
        if printable(tag) != tag:
            raise UsageError(f"tag {tag!r}: no line breaks, controls or hidden signs")
    locked = select(Run.id).where(Run.id == run_id).with_for_update(key_share=True)
    if session.scalar(locked) is None:
        raise NotFoundError(f"no run {run_id} in this store")
    ours = Tag.run_id == run_id
    session.execute(delete(Tag).where(ours, Tag.tag.in_([*add, *remove])))
    if rows := [{"run_id": run_id, "tag": tag} for tag in sorted(set(add))]:
        session.execute(insert(Tag), rows)


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
