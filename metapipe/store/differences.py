"""In what the runs of a group are not alike, beside the seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    distinct,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from .fields import Field, Fields, shared
from .schema import Run

EXPECTED = ("run.seed", "run.name")
"""Settings in which the runs of a group are meant to differ."""

FACTS = ("status", "step", "data", "device", "plugins", "commit")


def differences(
    session: Session,
    keys: Sequence[Field],
    groups: Mapping[tuple[Any, ...], int],
    known: Fields,
    chosen: ColumnElement[bool],
    *,
    whole: bool,
) -> dict[tuple[Any, ...], set[str]]:
    """In what the runs of each of `groups` are not alike; of each, how many there
    are. They are the `whole` of the groups that were chosen, or some of them."""
    if not groups:
        return {}
    columns = [shared(key) for key in keys]
    ours = chosen if whole else and_(chosen, _of_groups(columns, groups))
    given = {key.name.removeprefix("config.") for key in keys} | set(EXPECTED)
    found: dict[tuple[Any, ...], set[str]] = {group: set() for group in groups}

    def group_of(row: Any) -> tuple[Any, ...]:
        return tuple(row[f"k{i}"] for i in range(len(keys)))

    for row in session.execute(_facts(columns, known, ours)).mappings():
        if (group := group_of(row)) in found:
            names = {name for name in FACTS if row[name] > 1}
            found[group] |= names - given
    for row in session.execute(_settings(columns, ours)).mappings():
        group, name = group_of(row), f"{row['section']}.{row['name']}"
        unlike = row["least"] != row["greatest"] or row["runs"] < groups.get(group, 0)
        if group in found and unlike and not {name, name.removeprefix("run.")} & given:
            found[group].add(name)
    return found


def _of_groups(
    columns: Sequence[ColumnElement[Any]], groups: Collection[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Whether a run is of one of these groups."""
    each = (list(zip(columns, group, strict=True)) for group in groups)
    return or_(
        *(and_(*(c.is_(None) if v is None else c == v for c, v in p)) for p in each)
    )


def _facts(
    keys: Sequence[ColumnElement[Any]], known: Fields, ours: ColumnElement[bool]
) -> Select[Any]:
    """How many values each fact of the runs has, by group."""
    columns = (
        known.columns["status"].column,
        Run.step,
        Run.fingerprint,
        Run.device,
        Run.plugins,
        Run.git_commit,
    )
    k = [key.label(f"k{i}") for i, key in enumerate(keys)]
    texts = [
        func.coalesce(cast(column, Text), "").label(name)
        for name, column in zip(FACTS, columns, strict=True)
    ]
    runs = select(*k, *texts).where(ours).subquery().c
    by = [runs[f"k{i}"] for i in range(len(k))]
    values = [func.count(distinct(runs[name])).label(name) for name in FACTS]
    return select(*by, *values).group_by(*by)


def _settings(
    keys: Sequence[ColumnElement[Any]], ours: ColumnElement[bool]
) -> Select[Any]:
    """The least and the greatest value of each setting as JSON text, and how many runs
    have it, by group."""
    table = func.json_each(Run.config).table_valued("key", "value", name="section")
    entry = func.json_each(table.c.value).table_valued("key", "value", name="entry")
    k = [key.label(f"k{i}") for i, key in enumerate(keys)]
    value = func.coalesce(cast(entry.c.value, Text), "null").label("value")
    names = table.c.key.label("section"), entry.c.key.label("name")
    runs = select(*k, *names, value).select_from(Run)
    c = runs.join(table, true()).join(entry, true()).where(ours).subquery().c
    by = [*(c[f"k{i}"] for i in range(len(k))), c.section, c.name]
    values = (
        func.min(c.value).label("least"),
        func.max(c.value).label("greatest"),
        func.count().label("runs"),
    )
    return select(*by, *values).group_by(*by)
