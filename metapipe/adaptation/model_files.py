"""Files of adapted models in the folder of a project."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import NotFoundError, UsageError, did_you_mean

SUFFIX = ".metapipe"
NAME = re.compile(r"\w[\w -]{0,59}(?<! )")
"""Of a new file: letters, digits, `_`, `-` and blanks inside. No dot: it is one file
in one folder on any system."""

RESERVED = re.compile(r"(?i)con|prn|aux|nul|com\d|lpt\d")
"""Devices of Windows."""


def model_files(folder: Path) -> dict[str, Path]:
    """Adapted models by name; what lies there and leads elsewhere is none."""
    inside = folder.resolve()
    found = sorted(folder.glob(f"*{SUFFIX}"))
    return {
        path.stem: path
        for path in found
        if path.is_file() and path.resolve().parent == inside
    }


def model_file(folder: Path, name: str) -> Path:
    """The adapted model of a name. Raises NotFoundError."""
    known = model_files(folder)
    if name not in known:
        hint = did_you_mean(name, known)
        raise NotFoundError(f"the project has no adapted model '{name}'; {hint}")
    return known[name]


def new_model_file(folder: Path, name: str) -> Path:
    """Where to write an adapted model of a new name. Raises UsageError for what is no
    name, or one that is taken."""
    from ..data.names import normal_name  # and torch, which listing does not need

    name = normal_name(name)
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name for a file: letters, digits, -, _ and blanks inside, "
            "60 at the most"
        )
    path = folder / f"{name}{SUFFIX}"
    if path.exists() or path.is_symlink():
        raise UsageError(f"there is a file {path.name} already: take another name")
    return path
