"""What a data set cannot do without, by the name of its setting."""

from __future__ import annotations

from pathlib import Path

from metapipe import PathError


def require_root(root: Path | None, needs: str, more: str = "") -> Path:
    """Where `dataset.root` is. Raises PathError, with what the data set `needs`, if it
    is not given or not there."""
    if root is None:
        raise PathError(f"{needs}: -s dataset.root=PATH{more}")
    found = root.expanduser()
    if not found.exists():
        raise PathError(f"dataset.root = '{found}' does not exist: {needs}")
    return found
