"""Data sets as rows: which there are, and what is in the splits of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .cells import Table

if TYPE_CHECKING:
    from ..dataset import Source

SHOWN = 5
"""Items in two splits that are named."""


def dataset_table(plugins: Iterable[Mapping[str, Any]]) -> Table:
    """A row a data set, of what a catalogue tells of plugins."""
    columns = ("name", "distribution", "what")
    rows = [
        {name: plugin[name] for name in columns}
        for plugin in plugins
        if plugin["kind"] == "dataset"
    ]
    return Table(columns, rows)


def split_table(sources: Mapping[Any, Source]) -> Table:
    """A row a split."""
    rows = [_facts(split, source) for split, source in sources.items()]
    columns: tuple[str, ...] = ("classes", "items", "each", "shape", "MiB")
    if rows and rows[0]["actions"]:
        columns = ("shape", "actions", "steps")
    return Table(("split", "problem", *columns), rows)


def shared_line(
    shared: Sequence[Sequence[str]], sources: Mapping[Any, Source]
) -> str | None:
    """Whether items are in more than one split; None where there are no items."""
    if shared:
        are = "1 item is" if len(shared) == 1 else f"{len(shared)} items are"
        return f"{are} in more than one split"
    if any(source.facts.sizes for source in sources.values()):
        return "no item is in two splits"
    return None


def _facts(split: str, source: Source) -> dict[str, Any]:
    sizes = list(source.facts.sizes)
    least, most = (min(sizes), max(sizes)) if sizes else (0, 0)
    return {
        "split": split,
        "problem": source.facts.kind,
        "classes": len(source.facts.classes) or None,
        "items": sum(sizes) or None,
        "each": f"{least}" if least == most else f"{least} to {most}",
        "shape": "x".join(map(str, source.facts.shape)),
        "MiB": round(source.facts.nbytes / 2**20, 1),
        "actions": _actions(source),
        "steps": getattr(source, "horizon", None),
        "fingerprint": source.facts.fingerprint,
    }


def _actions(source: Source) -> str | None:
    """Of control: one of so many, or so many numbers."""
    count = source.facts.outputs
    words = {"discrete": f"one of {count}", "continuous": f"{count} numbers"}
    return words.get(source.facts.actions)
