"""In what the runs of a group are not alike, beside the seed."""

from __future__ import annotations

from collections.abc import Sequence
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
    groups: Sequence[tuple[Any, ...]],
    known: Fields,
    chosen: ColumnElement[bool],
) -> dict[tuple[Any, ...], set[str]]:
    """In what the runs of each of `groups` are not alike."""
    if not groups:
        return {}
    columns = [shared(key) for key in keys]
    ours = and_(
        chosen,
        or_(
            *(
                and_(*(c.is_(None) if v is None else c == v for c, v in pairs))
                for pairs in (list(zip(columns, g, strict=True)) for g in groups)
            )
        ),
    )
    given = {key.name.removeprefix("config.") for key in keys} | set(EXPECTED)
    found: dict[tuple[Any, ...], set[str]] = {group: set() for group in groups}
    for row in session.execute(_facts(columns, known, ours)).mappings():
        group = tuple(row[f"k{i}"] for i in range(len(keys)))
        names = [name for name in FACTS if row[name] > 1]
        found[group].update(name for name in names if name not in given)
    for *shared_by, table, setting in session.execute(_settings(columns, ours)):
        name = f"{table}.{setting}"
        if name not in given and name.removeprefix("run.") not in given:
            found[tuple(shared_by)].add(name)
    return found


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
    """The settings that have several values, or are not in all runs, by group."""
    table = func.json_each(Run.config).table_valued("key", "value", name="section")
    entry = func.json_each(table.c.value).table_valued("key", "value", name="entry")
    k = [key.label(f"k{i}") for i, key in enumerate(keys)]
    value = func.coalesce(cast(entry.c.value, Text), "null")
    named = (
        select(*k, table.c.key.label("section"), entry.c.key.label("name"))
        .add_columns(value.label("value"), Run.id.label("run"))
        .select_from(Run)
        .join(table, true())
        .join(entry, true())
        .where(ours)
        .cte()
    )
    c = named.c
    by = [c[f"k{i}"] for i in range(len(k))]
    every = func.count(distinct(c.run)).label("every")
    whole = select(*by, every).group_by(*by).subquery().c
    same = and_(
        *(c[f"k{i}"].is_not_distinct_from(whole[f"k{i}"]) for i in range(len(k)))
    )
    return (
        select(*by, c.section, c.name)
        .join_from(named, whole.every.table, same)
        .group_by(*by, c.section, c.name, whole.every)
        .having(or_(func.count(distinct(c.value)) > 1, func.count() < whole.every))
    )
