"""Which settings of an experiment anybody reads: one that nobody does has no effect."""

from __future__ import annotations

import logging
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from .experiment import SECTIONS, Experiment
from .given import NOT_THE_USERS
from .registry import RUN_TYPES

Settings = TypeVar("Settings", bound=BaseModel)

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Reading:
    """An experiment whose settings remember that they were read."""

    experiment: Experiment
    read: Mapping[str, set[str]]
    """By table, what was read since."""

    given: Mapping[str, str]
    """Dotted names of what the user gave, and where."""

    @classmethod
    def of(cls, experiment: Experiment, origins: Mapping[str, str]) -> Reading:
        """The same experiment, watched; `origins` are those of `Resolved`."""
        read: dict[str, set[str]] = {}
        parts: dict[str, Any] = {}
        for table in (*SECTIONS, *RUN_TYPES):
            parts[table], read[table] = watched(getattr(experiment, table))
        users = {k: v for k, v in origins.items() if not v.startswith(NOT_THE_USERS)}
        return cls(replace(experiment, **parts), read, users)

    def tell(self, tables: Collection[str]) -> None:
        """Warn of what was given in these tables and read by nobody until now."""
        for name, source in self.given.items():
            table, _, key = name.partition(".")
            if table in tables and key not in self.read[table]:
                value = getattr(getattr(self.experiment, table), key)
                logger.warning(
                    "%s = %r (%s) has no effect beside the other settings (%s): "
                    "nothing reads it",
                    name,
                    value,
                    source,
                    ", ".join(self.experiment.chosen.values()),
                )


def watched(settings: Settings) -> tuple[Settings, set[str]]:
    """The same settings, and a set that the names of those that are read join."""
    cls = type(settings)
    fields, read = set(cls.model_fields), set[str]()

    def getattribute(self: Any, name: str) -> Any:
        if name in fields:
            read.add(name)
        elif name.startswith("model_dump"):  # reads them all
            read.update(fields)
        return super(watcher, self).__getattribute__(name)

    def add(namespace: dict[str, Any]) -> None:
        namespace["__getattribute__"] = getattribute
        namespace["__module__"] = cls.__module__

    watcher = cast(type[Settings], types.new_class(cls.__name__, (cls,), {}, add))
    values = {name: settings.__dict__[name] for name in fields}
    made = watcher.model_construct(**values)
    made.__pydantic_private__ = settings.__pydantic_private__  # what is no setting
    return made, read
