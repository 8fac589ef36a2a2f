"""Settings of the command line and of `metapipe.toml`, made from the known fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel

from metapipe.experiment.experiment import SECTIONS
from metapipe.experiment.project import Project, find_project
from metapipe.experiment.registry import RUN_TYPES, Registry
from metapipe.experiment.resolve import resolve
from metapipe.experiment.written import parse_assignment
from metapipe.project_settings import PluginSettings, ProcessSettings, StoreSettings

from .target import Target
from .values import changed, damaged, number, text, value

DEEP = ("[" * 3000, "[" * 3000 + "]" * 3000, "9" * 5000, "{a=" * 200 + "1" + "}" * 200)
DEFAULTS = {"algorithm": "maml", "model": "conv4", "dataset": "glyphs"}

Tables = Mapping[str, Mapping[str, Any]]
"""Defaults by table and name."""


def assignments(registry: Registry) -> Target:
    """`--set TABLE.NAME=VALUE`, a few at a time."""
    tables = _tables(registry)

    def make(random: Random) -> list[str]:
        count = random.choice((1, 1, 2, 4))
        return [_assignment(random, tables) for _ in range(count)]

    def read(made: list[str], folder: Path) -> None:
        resolve(Project(folder), registry, [parse_assignment(text) for text in made])

    return Target("assignments", make, read)


def projects(registry: Registry) -> Target:
    """`metapipe.toml`, whole or with some bytes changed."""
    tables = {
        **{k: v for k, v in _tables(registry).items() if k not in RUN_TYPES},
        "store": _defaults(StoreSettings),
        "processes": _defaults(ProcessSettings),
        "plugins": _defaults(PluginSettings),
    }

    def make(random: Random) -> bytes:
        content = _toml(random, tables).encode(errors="surrogatepass")
        if random.random() < 0.2:
            content = b"\xef\xbb\xbf" + content
        return damaged(random, content) if random.random() < 0.2 else content

    def read(made: bytes, folder: Path) -> None:
        file = folder / "metapipe.toml"
        file.write_bytes(made)
        project = find_project(file)
        assert isinstance(project.plugin_paths, tuple)
        resolve(project, registry)

    return Target("projects", make, read)


def _tables(registry: Registry) -> Tables:
    """All settings: of the sections, of every plugin, and of those that are chosen."""
    found = {name: _defaults(section) for name, section in SECTIONS.items()}
    for kind in RUN_TYPES:
        for name in registry.names(kind):
            fields = _defaults(registry.entry(kind, name).cls)
            found[f"{kind}.{name}"] = fields
            if name == DEFAULTS[kind]:
                found[kind] = fields
    return {name: fields for name, fields in found.items() if fields}


def _defaults(cls: type[BaseModel]) -> dict[str, Any]:
    fields = cls.model_fields.items()
    return {
        name: field.get_default(call_default_factory=True) for name, field in fields
    }


def _assignment(random: Random, tables: Tables) -> str:
    common = [*SECTIONS, *RUN_TYPES]
    table = random.choice(common if random.random() < 0.9 else list(tables))
    key = random.choice(list(tables[table]))
    made = _written(random, tables[table][key])
    match random.randrange(20):
        case 0:
            return f"{text(random)}={made}"
        case 1:
            return f"{table}.{key}{text(random)}={made}"
        case _:
            return f"{table}.{key}={made}"


def _written(random: Random, default: Any) -> str:
    """A value as somebody types it: nearly the default's, or anything."""
    if random.random() < 0.6:
        made = default if random.random() < 0.5 else changed(random, default)
        return str(made).lower() if isinstance(made, bool) else _text(made)
    match random.randrange(4):
        case 0 if random.random() < 0.1:
            return random.choice(DEEP)
        case 1:
            return str(number(random))
        case 2:
            return _text(value(random))
        case _:
            return text(random)


def _text(made: Any) -> str:
    try:
        return made if isinstance(made, str) else json.dumps(made)
    except RecursionError:
        return "[" * 3000
    except (TypeError, ValueError):  # a path
        return str(made)


def _toml(random: Random, tables: Tables) -> str:
    lines = []
    for table in random.sample(sorted(tables), random.randrange(1, 6)):
        lines.append(f"[{table}]" if random.random() < 0.98 else f"[{text(random)}]")
        keys = random.sample(list(tables[table]), min(len(tables[table]), 3))
        lines += [f"{key} = {_toml_value(random, tables[table][key])}" for key in keys]
    return random.choice(("\n", "\n", "\r\n")).join(lines) + "\n"


def _toml_value(random: Random, default: Any) -> str:
    if random.random() < 0.7 and default is not None:
        return _text(default) if not isinstance(default, str) else json.dumps(default)
    match random.randrange(8):
        case 0:
            return str(number(random)).lower()
        case 1:
            return random.choice(("true", "false", "2026-01-01", "10:00:00", "0x1F"))
        case 2:
            return f"[{number(random)}, {number(random)}]".lower()
        case 3 if random.random() < 0.1:
            return random.choice(DEEP)
        case 4:
            return "{ a = 1, b = [2] }"
        case _:
            return json.dumps(text(random))
