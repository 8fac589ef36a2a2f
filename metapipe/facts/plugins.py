"""Plugins as rows, and what one says of itself, from what a catalogue tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .cells import Table

if TYPE_CHECKING:
    from ..experiment.registry import Failure

APART = (
    *("distribution", "version", "settings"),
    *("recommended", "recommended_with", "recommended_if"),
)
"""What is shown below the rest, or within it."""


def plugin_table(plugins: Iterable[Mapping[str, Any]]) -> Table:
    """A row a plugin."""
    rows = [
        {
            "kind": plugin["kind"],
            "name": plugin["name"],
            "version": plugin["version"],
            "origin": plugin["distribution"],
            "what": plugin["what"],
        }
        for plugin in plugins
    ]
    return Table(("kind", "name", "version", "origin", "what"), rows)


def failure_table(failures: Iterable[Failure]) -> Table:
    """A row for each that could not be loaded."""
    rows = [{"origin": each.origin, "reason": each.reason} for each in failures]
    return Table(("origin", "reason"), rows)


def told(plugin: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What it says of itself, as names and values."""
    return [(k, v) for k, v in plugin.items() if v and k not in APART]


def setting_table(plugin: Mapping[str, Any]) -> Table:
    """A row a setting."""
    return Table(("name", "type", "default", "bounds", "help"), plugin["settings"])


def recommendations(
    plugin: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Run settings that it recommends: when, and which."""
    if plugin["recommended"]:
        title = "run settings it recommends, unless you say otherwise"
        yield title, plugin["recommended"]
    for other, values in plugin["recommended_with"].items():
        yield f"and with {other}", values
    for setting, values in plugin["recommended_if"].items():
        yield f"and with {plugin['kind']}.{setting}", values
