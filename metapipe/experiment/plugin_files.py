"""Plugin files: imported once, and again when one has changed."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from ..errors import PluginError

Stamp = tuple[int, int]
"""Size and time of the last change of a file."""


def stamp(path: Path) -> Stamp:
    """That of a file; zeros if it is none."""
    if not path.is_file():
        return 0, 0
    state = path.stat()
    return state.st_size, state.st_mtime_ns


@cache
def module_of(path: Path, stamp: Stamp) -> ModuleType:
    """Import one file under a name of its own; once, while it stays as it is: objects
    of its classes can be pickled as long as they are that module's.

    Raises PluginError, and whatever the file raises.
    """
    digest = hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"metapipe_file_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("a plugin file has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
