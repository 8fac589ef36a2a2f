"""Plugins that a record names and nobody offers here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import UnknownNameError
from .registry import Registry


def require_plugins(recorded: Mapping[str, str], registry: Registry) -> None:
    """Raise UnknownNameError, with where it came from and what to do, if a plugin of a
    record is not here; the record is what `Registry.versions` was then."""
    for named, origin in recorded.items():
        kind, _, name = named.partition(" ")
        if not registry.has(kind, name):
            raise UnknownNameError(f"{kind} '{name}' is of {origin}, {_advice(origin)}")


def _advice(origin: str) -> str:
    """Of a plugin file, or of a distribution and its version."""
    if not origin.endswith(".py"):
        return "which is not installed here"
    if Path(origin).is_file():
        return f"which nobody loads: metapipe --plugin-path {shlex.quote(origin)} ..."
    return "which is not there any more: say where it is now by --plugin-path FILE"
