"""The catalogue: what plugins say of themselves, kept so that nothing is imported.

Plugins import torch, which takes seconds; to be looked at they need not be. What runs a
plugin takes it from the registry.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cache import cache_dir
from ..errors import WriteError
from ..whole_file import whole_file
from .plugin_facts import facts
from .registry import Failure, installed, load
from .sources import imported, sources, stamps


@dataclass(frozen=True)
class Catalogue:
    """All plugins, and those that could not be used."""

    plugins: list[dict[str, Any]]
    """The `facts` of each, by kind and name, as JSON has them."""

    failures: list[Failure]

    @property
    def names(self) -> list[str]:
        """The names of all plugins."""
        return [plugin["name"] for plugin in self.plugins]


def open_catalogue(paths: Sequence[Path] = ()) -> Catalogue:
    """The catalogue of the plugins installed and of the files at `paths`, from the
    cache if nothing of what it was made from has changed."""
    place = _place(paths)
    made_from = sources(paths)
    kept = _read(place, made_from)
    if kept is not None:
        return Catalogue(kept, [])
    # What was imported some time ago need not be what the files say now.
    fresh = sys.modules.keys().isdisjoint(p.value.split(":")[0] for p in installed())
    catalogue = _make(paths)
    # A failure's cause may lie anywhere, and so may its cure: it is looked for again.
    if fresh and not catalogue.failures:
        document = {
            "sources": made_from,
            "imported": imported(),
            "plugins": catalogue.plugins,
        }
        _write(place, json.dumps(document))
    return catalogue


def _make(paths: Sequence[Path]) -> Catalogue:
    """Import all plugins and write down their facts."""
    registry = load(tuple(paths))
    plugins, failures = [], [*registry.failures]
    for entry in registry.entries():
        try:
            plugins.append(json.loads(json.dumps(facts(entry), default=str)))
        except Exception as error:  # anybody's code
            text = " ".join(f"{type(error).__name__}: {error}".split())
            reason = f"{entry.plugin_type} '{entry.name}' cannot be shown: {text}"
            failures.append(Failure(entry.origin.distribution, reason))
    return Catalogue(plugins, failures)


def _place(paths: Sequence[Path]) -> Path:
    """One file for each Python and set of plugin files: the last of its catalogues."""
    files = [(str(path), str(path.resolve())) for path in paths]
    digest = hashlib.sha256(json.dumps([sys.prefix, files]).encode()).hexdigest()
    return cache_dir() / "catalogues" / f"{digest[:16]}.json"


def _read(place: Path, made_from: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The plugins of a catalogue that is there, whole and of today."""
    try:
        found = json.loads(place.read_bytes())
        current = found["sources"] == made_from and found["imported"] == stamps(
            map(Path, found["imported"])
        )
        return list(found["plugins"]) if current else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(place: Path, text: str) -> None:
    """A cache that cannot be written is done without."""
    with contextlib.suppress(WriteError), whole_file(place) as file:
        file.write(text.encode())
