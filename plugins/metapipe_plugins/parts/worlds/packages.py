"""Packages that worlds cannot do without."""

from __future__ import annotations

from importlib.util import find_spec

from metapipe import UnsupportedError


def require(extra: str, *packages: str) -> None:
    """Raise UnsupportedError, with the line that installs them, if there are none."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise UnsupportedError(
            f"this data set needs {' and '.join(missing)}: pip install "
            f"'metapipe[{extra}]'"
        )
