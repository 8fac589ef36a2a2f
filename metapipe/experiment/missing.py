"""Plugins that a record names and nobody offers here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..errors import UnknownNameError
from .registry import Registry


@contextmanager
def telling_origins(recorded: Mapping[str, str], registry: Registry) -> Iterator[None]:
    """Within it, an UnknownNameError for a plugin of a record, which is what
    `Registry.versions` was then, says where it came from and what to do. If what it
    came from is here, and has it no more or cannot be loaded, the error stays as it is:
    near names and failures are what helps then."""
    try:
        yield
    except UnknownNameError as error:
        for named, origin in recorded.items():
            kind, _, name = named.partition(" ")
            if not registry.has(kind, name) and not _is_here(origin, registry):
                told = f"{kind} '{name}' is of {origin}, {_advice(origin)}"
                raise UnknownNameError(told) from error
        raise


def _is_here(origin: str, registry: Registry) -> bool:
    """Whether the file or the distribution is loaded, or failed to be."""
    name = origin if _is_file(origin) else origin.rpartition(" ")[0]
    loaded = {entry.origin.distribution for entry in registry.entries()}
    failed = {failure.origin for failure in registry.failures}
    return name in loaded or any(f"{each}:".startswith(f"{name}:") for each in failed)


def _advice(origin: str) -> str:
    if not _is_file(origin):
        return "which is not installed here"
    if os.path.isfile(origin):  # what may not be looked at is none
        return f"which nobody loads: metapipe --plugin-path {shlex.quote(origin)} ..."
    return "which is not there any more: say where it is now by --plugin-path FILE"


def _is_file(origin: str) -> bool:
    """A plugin file, and no distribution with its version."""
    return origin.endswith(".py")
