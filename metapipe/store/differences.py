"""In what the runs of a group are not alike, beside the seed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, select
from sqlalchemy.orm import Session

from .fields import Field, Fields, shared
from .schema import Run

EXPECTED = ("run.seed", "run.name")
"""Settings in which the runs of a group are meant to differ."""

UNOBSERVED = re.compile(r"(?!run\.observers$|observer\.)")
"""Names of settings that have a part in what is learned: not who is told of it."""

ABSENT = object()
"""In place of the value of a setting that a run does not have."""

Group = tuple[Any, ...]
"""The values that its runs share."""

Settings = Mapping[str, Mapping[str, Any]]
"""By section."""


def differences(
    session: Session,
    keys: Sequence[Field],
    groups: Collection[Group],
    known: Fields,
    chosen: ColumnElement[bool],
) -> dict[Group, set[str]]:
    """In what the runs of each of `groups` are not alike.

    Each run is compared with the first of its group. A database that takes documents
    to pieces, and sorts the pieces, is slower by far.
    """
    given = {key.name.removeprefix("config.") for key in keys}
    expected = {*EXPECTED, *given, *(f"run.{name}" for name in given)}
    first: dict[Group, tuple[dict[str, Any], Settings]] = {}
    found: dict[Group, set[str]] = {group: set() for group in groups}
    for group, facts, document in _runs(session, keys, known, chosen):
        if group not in found:
            continue
        settings = json.loads(document)
        facts_of, settings_of = first.setdefault(group, (facts, settings))
        found[group].update(name for name in facts if facts[name] != facts_of[name])
        found[group].update(_unlike(settings_of, settings))
    return {group: names - expected for group, names in found.items()}


def _runs(
    session: Session,
    keys: Sequence[Field],
    known: Fields,
    chosen: ColumnElement[bool],
) -> Iterator[tuple[Group, dict[str, Any], str]]:
    """The group of each run, its facts, and its settings as JSON text."""
    facts: dict[str, Any] = {
        "status": known.columns["status"].column,
        "step": Run.step,
        "data": Run.fingerprint,
        "device": Run.device,
        "plugins": cast(Run.plugins, Text),
        "commit": Run.git_commit,
    }
    columns = [*map(shared, keys), *facts.values(), cast(Run.config, Text)]
    wanted = select(*columns).where(chosen).execution_options(yield_per=1000)
    k = len(keys)
    for row in session.execute(wanted):
        yield tuple(row[:k]), dict(zip(facts, row[k:-1], strict=True)), row[-1]


def _unlike(first: Settings, other: Settings) -> Iterator[str]:
    """Settings, by dotted name, that do not have the same value, or only one has."""
    for section in first.keys() | other.keys():
        mine, theirs = first.get(section, {}), other.get(section, {})
        if mine != theirs:
            for name in mine.keys() | theirs.keys():
                dotted = f"{section}.{name}"
                same = mine.get(name, ABSENT) == theirs.get(name, ABSENT)
                if not same and UNOBSERVED.match(dotted):
                    yield dotted
