"""Columns of a list of runs: their fields, settings by dotted names, final figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..errors import UnknownNameError, did_you_mean
from .flat_settings import flat_settings
from .records import RunRow

FIELDS = (*(field.name for field in fields(RunRow)), "return")


def pick(rows: Sequence[RunRow], names: Sequence[str]) -> list[dict[str, Any]]:
    """A dictionary a run, of these columns in their order.

    A setting that a run has not is None. Raises UnknownNameError for a name that is no
    field and no setting of any of the runs, with the nearest one.
    """
    dotted = [flat_settings({**row.config, "metrics": row.metrics}) for row in rows]
    known = {name for settings in dotted for name in settings}
    for name in names:
        if name not in FIELDS and name not in known and (rows or "." not in name):
            hint = did_you_mean(name, (*FIELDS, *known))
            near = hint if hint.startswith("did") else f"known: {', '.join(FIELDS)}"
            raise UnknownNameError(f"no column '{name}'; {near}")
    return [
        {n: _value(row, n) if n in FIELDS else settings.get(n) for n in names}
        for row, settings in zip(rows, dotted, strict=True)
    ]


def _value(row: RunRow, name: str) -> Any:
    """`return`, which no field of Python's can be called, is minus the loss."""
    return getattr(row, "mean_return" if name == "return" else name)
