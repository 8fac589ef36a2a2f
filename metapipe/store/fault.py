"""What is wrong in a store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Something in a store, or among its files, that should not be."""

    what: str
    """What kind of fault it is, in a few words."""

    where: str
    """A run, a table or a file."""

    detail: str
    harmless: bool = False
    """Whether nothing is lost or wrong by it."""
