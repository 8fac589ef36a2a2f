"""What was made from plugins, kept in the cache as long as they are what they were."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cache import cache_dir
from ..errors import WriteError
from ..whole_file import whole_file
from .installed import installed
from .sources import imported, sources, stamps


class Kept:
    """One document, JSON-able, made from all plugins that are installed and in files.

    To be made before plugins are imported: a change meanwhile is seen next time.
    """

    def __init__(self, folder: str, paths: Sequence[Path] = ()) -> None:
        """One for each Python and set of plugin files: the last that was made."""
        files = [(str(path), str(path.resolve())) for path in paths]
        digest = hashlib.sha256(json.dumps([sys.prefix, files]).encode()).hexdigest()
        self._place = cache_dir() / folder / f"{digest[:16]}.json"
        self.entry_points = installed()
        self._sources = sources(paths, self.entry_points)
        # What was imported some time ago need not be what the files say now.
        self._fresh = sys.modules.keys().isdisjoint(
            point.value.split(":")[0] for point in self.entry_points
        )

    def read(self) -> Any:
        """That which is there, whole and of today; or None."""
        try:
            found = json.loads(self._place.read_bytes())
            current = found["sources"] == self._sources and found["imported"] == stamps(
                map(Path, found["imported"])
            )
            return found["content"] if current else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, content: Any) -> None:
        """Keep it, unless it was made from what had been imported long before. A cache
        that cannot be written is done without."""
        document = {
            "sources": self._sources,
            "imported": imported(),
            "content": content,
        }
        if self._fresh:
            with contextlib.suppress(WriteError), whole_file(self._place) as file:
                file.write(json.dumps(document).encode())
