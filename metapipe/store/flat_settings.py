"""The tables of a run's settings as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat_settings(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The `config` of a run as one table: `training.lr` -> value."""
    return {
        f"{table}.{name}": value
        for table, values in config.items()
        for name, value in values.items()
    }
