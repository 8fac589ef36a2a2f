"""What was given, and where: in the config file, in the environment, for this one time,
or by the run that is repeated."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..errors import SettingError, did_you_mean
from .experiment import SECTIONS
from .project import PROJECT, Project
from .registry import PLUGIN_TABLES, RUN_TYPES
from .written import Written

PREFIX = "METAPIPE_"
OTHERS = ("METAPIPE_DB", "METAPIPE_CACHE", "METAPIPE_DEBUG")
"""Variables that are no settings of a run."""

COMMAND_LINE, ARGUMENT = "command line", "argument"
ASKED = (COMMAND_LINE, ARGUMENT)
"""Where values are from that somebody gave for this one time."""

RECOMMENDED, REPEATED, NOBODY = "recommended", "repeated run", "default"
NOT_THE_USERS = (RECOMMENDED, REPEATED, NOBODY)
"""How the sources of values begin that the user did not give."""

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Given:
    """A value that somebody gave, and where."""

    path: tuple[str, ...]
    value: Any
    source: str


def from_file(project: Project) -> Iterable[Given]:
    """What the config file says."""
    for table, values in project.tables.items():
        if table in PROJECT:
            continue
        for name, value in values.items():
            if table in PLUGIN_TABLES:
                yield from _plugin_table(project, table, name, value)
            else:
                yield Given((table, name), value, str(project.file))


def _plugin_table(
    project: Project, kind: str, name: str, values: Any
) -> Iterable[Given]:
    """`[algorithm.maml]`: settings of a plugin, whether it is chosen or not."""
    if not isinstance(values, dict):
        raise SettingError(
            f"{project.file}: '{name}' stands in [{kind}]; plugins have tables of "
            f"their own, for example [{kind}.NAME]"
        )
    for key, value in values.items():
        yield Given((kind, name, key), value, str(project.file))


def from_environment() -> Iterable[Given]:
    """What variables say; one that is near to one of ours is told of."""
    for variable, text in sorted(os.environ.items()):
        if not variable.startswith(PREFIX) or variable in OTHERS:
            continue
        name = variable.removeprefix(PREFIX)
        if "__" in name:
            path = name.lower().split("__")
            yield Given(checked(path, variable), Written(text), variable)
        elif near := get_close_matches(name, _variables(), n=1, cutoff=0.7):
            logger.warning(
                "%s means nothing to metapipe; did you mean '%s%s'?",
                variable,
                PREFIX,
                near[0],
            )


def _variables() -> list[str]:
    """Those that mean something whatever the plugins are, without what all begin by."""
    settings = [
        f"{table}__{name}".upper()
        for table, section in SECTIONS.items()
        for name in section.model_fields
    ]
    return [*settings, *(name.removeprefix(PREFIX) for name in OTHERS)]


def from_user(values: Iterable[tuple[str, Any]], source: str) -> Iterable[Given]:
    """What somebody asks for; `source` tells where."""
    for name, value in values:
        path = checked(name.split("."), name)
        yield Given(path, value, source)


def from_base(
    base: Mapping[str, Mapping[str, Any]], changes: Iterable[Given]
) -> Iterable[Given]:
    """A stored experiment, without the settings of plugins that are now replaced."""
    chosen = {item.path[1] for item in changes if item.path[0] == "run"}
    for table, values in base.items():
        if not (table in RUN_TYPES and table in chosen):
            for name, value in values.items():
                if (table, name) != ("run", "name"):  # the new run's is its own
                    yield Given((*table.split("."), name), value, REPEATED)


def checked(path: list[str], shown: str) -> tuple[str, ...]:
    """A path whose table exists and whose length suits it."""
    known = (*SECTIONS, *PLUGIN_TABLES)
    if path[0] not in known:
        hint = did_you_mean(path[0], known)
        raise SettingError(f"'{shown}': no table '{path[0]}'; {hint}")
    longest = 3 if path[0] in PLUGIN_TABLES else 2
    if not 2 <= len(path) <= longest or not all(path):
        raise SettingError(f"'{shown}' is no setting: write TABLE.NAME")
    return tuple(path)
