"""Options: settings by short names, the same on the command line and in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from os import PathLike, fspath
from typing import Any, ParamSpec, TypeVar

from ..errors import SettingError, did_you_mean
from ..section import Section
from ..settings import EvaluationSettings, RunSettings, TaskSettings
from ..training_settings import TrainingSettings

Given = ParamSpec("Given")
Result = TypeVar("Result")
Sections = Mapping[str, type[Section]]
Pairs = list[tuple[str, Any]]
"""Dotted names with values."""

TRAINING: Sections = {
    "run": RunSettings,
    "task": TaskSettings,
    "training": TrainingSettings,
}
EVALUATION: Sections = {"evaluation": EvaluationSettings}
ALIASES: Mapping[str, tuple[str, ...]] = {
    "algorithm": ("plugin",),
    "observers": ("observer",),
    "optimiser": ("optimizer",),
}
"""Other names of an option."""


def option_names(sections: Sections) -> dict[str, str]:
    """The dotted name of each setting by each name of its option: `lr` is
    `training.lr`, and `plugin` is `run.algorithm`."""
    return {
        name: f"{table}.{field}"
        for table, section in sections.items()
        for field in section.model_fields
        for name in (field, *ALIASES.get(field, ()))
    }


def from_options(
    options: Mapping[str, Any], sections: Sections, more: Iterable[str] = ()
) -> Pairs:
    """The options that were given, None being none.

    Raises SettingError for a name that is no option, offering the nearest of them and
    of `more`; and for two that mean the same.
    """
    names = option_names(sections)
    found: dict[str, Any] = {}
    for option, value in options.items():
        if option not in names:
            hint = did_you_mean(option, (*names, *more))
            raise SettingError(f"no option '{option}'; {hint}")
        if names[option] in found:
            raise SettingError(f"'{option}': {names[option]} is given twice")
        if value is not None:
            found[names[option]] = plain(value)
    return list(found.items())


def from_settings(settings: Mapping[str, Any] | None) -> Pairs:
    """Settings by dotted names, as Python is given them. Raises SettingError."""
    if not isinstance(settings, Mapping | None):
        raise SettingError(f"settings = {settings!r}: a dict of names is wanted")
    for name in settings or {}:
        if "." not in name:
            raise SettingError(
                f"settings: '{name}' is no setting: write TABLE.NAME, for example "
                "{'algorithm.inner_lr': 0.1}"
            )
    return [(name, plain(value)) for name, value in (settings or {}).items()]


def hinting(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Make a function raise SettingError for an option it does not have, with the
    nearest that it has, and not Python's TypeError."""
    known = list(inspect.signature(function).parameters)

    @wraps(function)
    def hinted(*arguments: Given.args, **options: Given.kwargs) -> Result:
        for name in options:
            if name not in known:
                raise SettingError(f"no option '{name}'; {did_you_mean(name, known)}")
        return function(*arguments, **options)

    return hinted


def by_table(
    pairs: Iterable[tuple[str, Any]], tables: Iterable[str], what: str
) -> dict[str, dict[str, Any]]:
    """Values by table and name; `what` is what takes no other tables."""
    found: dict[str, dict[str, Any]] = {table: {} for table in tables}
    for name, value in pairs:
        table, _, field = name.partition(".")
        if table not in found:
            known = " and ".join(f"{table}.NAME" for table in found)
            raise SettingError(f"'{name}': {what} takes {known} only")
        found[table][field] = value
    return found


def plain(value: Any) -> Any:
    """A path as its text, which is what settings hold."""
    return fspath(value) if isinstance(value, PathLike) else value
