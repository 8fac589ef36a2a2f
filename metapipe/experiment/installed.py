"""Entry points: the plugins that installed distributions have, not yet imported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points

GROUP = "metapipe"


def installed() -> Sequence[EntryPoint]:
    """Entry points in a fixed order, ours first, each distribution's once."""
    found = {(distribution(e), e.name, e.value): e for e in entry_points(group=GROUP)}
    return [found[k] for k in sorted(found, key=lambda k: (k[0] != GROUP, k))]


def distribution(entry_point: EntryPoint) -> str:
    """The name of the distribution that an entry point is from."""
    return _identity(entry_point.dist)[0]


def version(entry_point: EntryPoint) -> str:
    """Its version."""
    return _identity(entry_point.dist)[1]


@lru_cache(maxsize=64)
def _identity(found: Distribution | None) -> tuple[str, str]:
    """Name and version: the whole of its metadata is read for each time they are asked
    for, and many entry points are of one."""
    return (found.name, found.version) if found else ("unknown", "")
