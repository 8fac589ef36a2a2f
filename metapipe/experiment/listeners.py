"""Who is told of a run: what it was handed, and all plugins that listen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pluggy

from ..errors import SettingError
from ..observer import Observer
from .registry import Registry, new_manager


@dataclass(frozen=True, eq=False)
class Listener:
    """One that is told of a run: by itself, so that none stands in another's way."""

    name: str
    hooks: pluggy.HookRelay


def of_plugins(registry: Registry) -> list[Listener]:
    """The plugins that listen to every run, by their names."""
    return [listener(name, plugin) for name, plugin in registry.listening().items()]


def handed(observers: Iterable[object]) -> list[Listener]:
    """Objects with hook implementations, and observers with their settings: what is
    handed to one run is no plugin of the next.

    Raises SettingError for one that observes nothing, DataError for one that cannot.
    """
    return [_handed(each) for each in observers]


def _handed(observer: object) -> Listener:
    name = type(observer).__name__
    if isinstance(observer, Observer):
        observer.check()
        return listener(name, observer.listener())
    if isinstance(observer, type):
        raise _observes_nothing(observer)
    return listener(name, observer)


def listener(name: str, observer: object) -> Listener:
    """One that is told of a run. Raises SettingError if it listens to nothing."""
    manager = new_manager()
    manager.register(observer)
    if not manager.get_hookcallers(observer):
        raise _observes_nothing(observer)
    return Listener(name, manager.hook)


def _observes_nothing(observer: object) -> SettingError:
    return SettingError(
        f"observers: {observer!r} observes nothing: give an object whose methods are "
        "marked with metapipe.hookimpl, or the name of an observer plugin"
    )
