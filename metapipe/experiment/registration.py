"""What can be registered: the rules for a plugin's class and name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..algorithm import Algorithm
from ..backbone import Backbone
from ..dataset import Dataset
from ..encoder import Encoder
from ..model import Model
from ..observer import Observer
from ..plugin import CONTRACT, Plugin

BASES: Mapping[str, type[Plugin] | type[Encoder]] = {
    "algorithm": Algorithm,
    "model": Model,
    "dataset": Dataset,
    "backbone": Backbone,
    "observer": Observer,
    "encoder": Encoder,
}
"""What can be registered, each by the hook `register_KINDs`."""

NAME = re.compile("[a-z][a-z0-9_+-]*")
"""What can be a TOML table, part of a dotted setting and of an environment variable."""


def fault(kind: str, name: Any, cls: Any) -> str | None:
    """Why it cannot be registered, if so."""
    base = BASES[kind]
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        shape = "lower-case letters, digits, -, _ and +, a letter first"
        return f"{name!r} is no name for a plugin: {shape}"
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return f"'{name}' is no metapipe.{base.__name__}"
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        return f"'{name}' lacks {', '.join(missing)}"
    if kind == "encoder" and _type_of(cls) != name:
        return f"encoder '{name}' has no field type: Literal['{name}'] = '{name}'"
    return None


def _type_of(encoder: Any) -> Any:
    """What the records of an encoder's class say that it is."""
    field = encoder.model_fields.get("type")
    return field and field.default


def other_contract(version: object) -> str:
    """What to do with a plugin that was written for another one."""
    newer = isinstance(version, int) and version > CONTRACT
    advice = "upgrade metapipe" if newer else "get a newer version of the plugin"
    return (
        f"it was written for contract {version!r} of plugins, and this metapipe has "
        f"{CONTRACT}: {advice}"
    )
