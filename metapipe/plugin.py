"""What a plugin is: a frozen record whose fields are its settings.

Name, type, bounds, default and help are said once, at the field, and the CLI, the
config file, the docs and the run record all come from there. The classes of the
contract are abstract; a plugin's own are final.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

DropShare = Annotated[float, Field(ge=0, lt=1, json_schema_extra={"stochastic": True})]
"""A setting of a model: the share of something that is dropped at random in training.

Marked, so that where training never runs the network in training mode a default or a
recommendation of it becomes 0, and a user who asks for more is told."""


CONTRACT = 1
"""Version of what plugins and metapipe promise each other: it changes when a plugin
that kept the contract would no longer work. A plugin's module may say for which it was
written (`contract = 1`), and is loaded if it is this one."""


class Plugin(BaseModel, ABC):
    """A frozen, validated record: its fields are its settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # JSON, which the store keeps, has no infinity
    )

    paper: ClassVar[str] = ""
    """Citation with its address, shown by `metapipe plugins show`."""

    departures: ClassVar[str] = ""
    """What is done otherwise than in the paper or its authors' code, if anything."""

    recommended: ClassVar[Mapping[str, Any]] = {}
    """Run settings this plugin does well with, by dotted name (`training.lr`). They
    replace the built-in defaults and give way to whatever the user says."""

    recommended_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The same beside a certain other plugin, by its name: on this data set that
    algorithm wants another step size. Stronger than what either recommends alone."""

    recommended_if: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The same where a certain setting of its own is given, by its name. Stronger
    still."""


def stochastic_settings(cls: type[Plugin]) -> list[str]:
    """Names of the settings that are a DropShare."""
    return [
        name
        for name, field in cls.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("stochastic")
    ]


def silently_off(algorithm: str, setting: str) -> str:
    """The line that refuses a DropShare beside an algorithm for which it does nothing.

    `setting` is NAME=VALUE, with where it was given.
    """
    name = setting.partition("=")[0]
    return (
        f"{algorithm} never runs the network in training mode, so {setting} would be "
        f"silently off: use -s {name}=0, or a method for which metapipe plugins show "
        "says that dropout acts"
    )


def table_of(kind: str, name: str) -> str:
    """The table of a plugin's settings in an experiment: a run has one plugin of each
    type, but any number of observers."""
    return f"{kind}.{name}" if kind == "observer" else kind


Register = Callable[[str, type[Plugin]], None]
"""`register(name, cls)`: what the registration hooks are handed."""
