"""The observers that a run names, each with the settings that people give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ..errors import SettingError
from ..plugin import table_of
from ..settings import RunSettings
from .given import ASKED, Given
from .project import Project
from .registry import PluginType, Registry
from .setting_errors import first_error
from .written import typed

OBSERVER: PluginType = "observer"


def observer_settings(
    project: Project,
    registry: Registry,
    run: Mapping[str, Any],
    given: Iterable[Given],
    origins: dict[str, str],
) -> dict[str, dict[str, Any]]:
    """The settings of each observer that the table `run` names, by its own table; where
    each came from is added to `origins`.

    Raises SettingError and UnknownNameError.
    """
    names = _named(run.get("observers", ()), origins)
    tables: dict[str, dict[str, Any]] = {name: {} for name in names}
    for item in given:
        if item.path[0] != OBSERVER:
            continue
        name = _whose(item, names)
        if name is not None:
            tables[name][item.path[-1]] = item.value
            origins[f"{table_of(OBSERVER, name)}.{item.path[-1]}"] = item.source
    found = {}
    for name, values in tables.items():
        table, cls = table_of(OBSERVER, name), registry.entry(OBSERVER, name).cls
        whole = project.typed(table, values, cls, origins)
        made = registry.create(OBSERVER, name, whole, origins)
        found[table] = made.model_dump(mode="json")
    return found


def _named(observers: Any, origins: Mapping[str, str]) -> tuple[str, ...]:
    own = typed("run", {"observers": observers}, RunSettings)
    try:
        return RunSettings(**own).observers
    except ValidationError as error:
        raise SettingError(first_error(error, RunSettings, "run", origins)) from error


def _whose(item: Given, names: Sequence[str]) -> str | None:
    """The observer that a setting is of; None if that one is not told of the run.

    A table for another one may wait in the config file, and elsewhere is a slip.
    """
    chosen = ", ".join(names) or "none"
    if len(item.path) == 2:
        if len(names) != 1:
            raise SettingError(
                f"'{'.'.join(item.path)}' ({item.source}): of which observer? It has "
                f"{chosen}; name it in run.observers, and write observer.NAME."
                f"{item.path[1]}"
            )
        return names[0]
    if item.path[1] not in names:
        if item.source in ASKED:
            raise SettingError(
                f"'{'.'.join(item.path[:2])}' ({item.source}): the observers are "
                f"{chosen}; name it by --observer {item.path[1]} too"
            )
        return None
    return item.path[1]
