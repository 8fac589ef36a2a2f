"""An algorithm with one of its settings changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from ..algorithm import Algorithm


def variants(algorithm: Algorithm) -> dict[str, Algorithm]:
    """By what was changed: every switch turned and every choice made otherwise, one at
    a time. What the algorithm refuses is left out, but never all of it."""
    found, refused = {}, []
    for name, value in _changes(algorithm):
        label = f"{name}={value}"
        try:
            settings = {**algorithm.model_dump(), name: value}
            found[label] = type(algorithm).model_validate(settings)
        except ValidationError:
            refused.append(label)
    assert found or not refused, f"no setting can be changed: {', '.join(refused)}"
    return found


def _changes(algorithm: Algorithm) -> Iterator[tuple[str, object]]:
    for name, field in type(algorithm).model_fields.items():
        kind, now = field.annotation, getattr(algorithm, name)
        choices: tuple[object, ...] = ()
        if kind is bool:
            choices = (False, True)
        elif get_origin(kind) is Literal:
            choices = get_args(kind)
        yield from ((name, choice) for choice in choices if choice != now)
