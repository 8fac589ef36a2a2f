"""The shelf: plugins that are known by name, and not imported before one is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

Named = tuple[str, str]
"""Kind and name of a plugin."""


@dataclass
class Contents:
    """What a module of plugins has."""

    names: list[Named] = field(default_factory=list)
    """What it registers."""

    watches: bool = False
    """Whether it has hooks beside those that register."""


Index = dict[str, Contents]
"""By key of an entry point."""


def index_of(document: Any) -> Index:
    """The index that was kept, as JSON has it; an empty one if it is none."""
    try:
        return {
            key: Contents([(k, n) for k, n in known["names"]], bool(known["watches"]))
            for key, known in document.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


@dataclass(frozen=True)
class Unopened:
    """An entry point that is not imported yet."""

    module: str
    contents: Contents

    load: Callable[[], None]
    """Import it, and register what it has."""


class Shelf:
    """Entry points that wait to be opened, each once; for several threads."""

    def __init__(self) -> None:
        self._waiting: dict[str, Unopened] = {}
        self._lock = RLock()

    def put(self, key: str, unopened: Unopened) -> None:
        """Let it wait."""
        self._waiting[key] = unopened

    def named(self) -> Iterator[tuple[Named, Unopened]]:
        """All that will be registered, and by what."""
        for unopened in [*self._waiting.values()]:
            for named in unopened.contents.names:
                yield named, unopened

    def open(self, wanted: Callable[[Unopened], bool] = lambda _: True) -> None:
        """Load those that are wanted; another thread waits until they are. One that is
        interrupted at it, as in a notebook, waits on."""
        with self._lock:
            for key in [k for k, each in self._waiting.items() if wanted(each)]:
                unopened = self._waiting.pop(key)
                try:
                    unopened.load()
                except BaseException:
                    self._waiting[key] = unopened
                    raise
