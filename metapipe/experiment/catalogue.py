"""The catalogue: what plugins say of themselves, kept so that nothing is imported.

Plugins import torch, which takes seconds; to be looked at they need not be. What runs a
plugin takes it from the registry.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..printable import one_line
from .kept import Kept
from .plugin_facts import facts
from .registry import Failure, load


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
    kept = Kept("catalogues", paths)
    plugins = kept.read()
    if isinstance(plugins, list):
        return Catalogue(plugins, [])
    catalogue = _make(paths)
    # A failure's cause may lie anywhere, and so may its cure: it is looked for again.
    if not catalogue.failures:
        kept.write(catalogue.plugins)
    return catalogue


def _make(paths: Sequence[Path]) -> Catalogue:
    """Import all plugins and write down their facts."""
    registry = load(tuple(paths))
    entries = registry.entries()
    plugins, failures = [], [*registry.failures]
    for entry in entries:
        try:
            plugins.append(json.loads(json.dumps(facts(entry), default=str)))
        except Exception as error:  # anybody's code
            text = one_line(f"{type(error).__name__}: {error}")
            reason = f"{entry.plugin_type} '{entry.name}' cannot be shown: {text}"
            failures.append(Failure(entry.origin.distribution, reason))
    return Catalogue(plugins, failures)
