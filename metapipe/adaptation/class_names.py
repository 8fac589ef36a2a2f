"""Names of classes and of pictures that somebody gives by hand."""

from __future__ import annotations

from collections.abc import Collection

from ..data.names import normal_name
from ..errors import UsageError
from ..printable import printable

LONGEST = 60
"""Letters of a name."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def first_names(count: int) -> list[str]:
    """Of classes that nobody has named."""
    if count <= len(LETTERS):
        return list(LETTERS[:count])
    return [f"class {number}" for number in range(1, count + 1)]


def free_name(name: str, taken: Collection[str]) -> str:
    """The one form of a new class's name. Raises UsageError for what is none."""
    name = normal_name(name)
    if not name or len(name) > LONGEST or printable(name) != name:
        raise UsageError(
            f"a class's name has between 1 and {LONGEST} letters on one line"
        )
    if name in taken:
        raise UsageError(f"there is a class {name} already")
    return name


def shown_name(name: str) -> str:
    """The name of a picture's file, without folders and short."""
    plain = printable(normal_name(name).replace("\\", "/").rpartition("/")[2])
    return plain[-LONGEST:] or "picture"
