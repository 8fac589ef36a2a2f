"""What the plugins are made of: files and versions, found without importing a plugin.

What was made from plugins is as good as new while all of this is the same.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..version import __version__
from ..whole_file import sha256_of
from .installed import GROUP, distribution, installed, version

Stamps = dict[str, Any]
"""File -> [size, time of its last change], or None if it is not there. JSON-able."""


def sources(
    paths: Sequence[Path], found: Sequence[EntryPoint] | None = None
) -> dict[str, Any]:
    """All that decides what plugins there are and what they say of themselves. JSON-
    able, and read before anything is imported: a change meanwhile is seen next time.
    `found` are the entry points, if they are known."""
    found = installed() if found is None else found
    points = [(distribution(e), version(e), e.name, e.value) for e in found]
    packages = {GROUP, *(value.split(":")[0].split(".")[0] for *_, value in points)}
    return {
        "metapipe": __version__,
        "python": sys.version,
        "path": list(sys.path),
        "distributions": _distributions(),
        "entry points": [list(point) for point in points],
        "packages": stamps(file for name in sorted(packages) for file in _files(name)),
        "files": {str(path): _sha256(path) for path in paths},
    }


def imported() -> Stamps:
    """Files of all modules imported so far, but for those of installed distributions,
    whose versions are told elsewhere: a plugin file's helpers are among them."""
    places = sysconfig.get_paths()
    known = tuple(places[k] for k in ("stdlib", "platstdlib", "purelib", "platlib"))
    # not by getattr: some modules import themselves for being asked
    files = [
        getattr(m, "__dict__", {}).get("__file__") for m in [*sys.modules.values()]
    ]
    return stamps(
        Path(file)
        for file in files
        if isinstance(file, str) and not file.startswith(known)
    )


def stamps(files: Iterable[Path]) -> Stamps:
    """The stamp of each file, by its path."""
    return {str(file): _stamp(file) for file in sorted(files)}


def _stamp(file: Path) -> list[int] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def _distributions() -> list[str]:
    """What is installed: names and versions are in the names of these folders. A plugin
    may have more to offer beside a library that it does not need."""
    folders = [Path(folder) for folder in dict.fromkeys(sys.path)]
    return [str(found) for f in folders for found in sorted(f.glob("*.*-info"))]


def _files(package: str) -> Iterator[Path]:
    """The Python files of a package, which is looked for and not imported."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.origin:
        yield Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        yield from Path(folder).rglob("*.py")


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None
