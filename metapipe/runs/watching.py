"""Observers as a program in Python gives them: names of plugins, and objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import SettingError


def named_and_handed(
    observers: Iterable[object] | str,
) -> tuple[dict[str, Any], Sequence[object]]:
    """Names of observers as the option they are, and objects."""
    if isinstance(observers, str):
        observers = (observers,)
    given = _listed(observers)
    names = [each for each in given if isinstance(each, str)]
    objects = [each for each in given if not isinstance(each, str)]
    return ({"observers": names} if names else {}), objects


def only_handed(observers: Iterable[object] | str) -> Sequence[object]:
    """Of a run that goes on, which keeps the plugins that it named."""
    names, objects = named_and_handed(observers)
    for name in names.get("observers", ()):
        raise SettingError(
            f"observers = {name!r:.80}: a run that goes on keeps the observer plugins "
            "that it named; give objects whose methods are marked with "
            "metapipe.hookimpl"
        )
    return objects


def _listed(observers: Iterable[object]) -> list[object]:
    if not isinstance(observers, Iterable):
        raise SettingError(f"observers = {observers!r}: a list of them is wanted")
    return [*observers]
