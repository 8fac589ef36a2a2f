"""Runs side by side: settings, figures over seeds, and which of two is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError, UsageError
from ..shown import Shown
from ..store import TaskStore
from ..store.differences import UNOBSERVED
from ..store.flat_settings import flat_settings
from ..store.groups import listed
from ..store.records import GroupRow, RunRow
from .curves import Curve, curves, seed_curves
from .pairing import Paired, paired

if TYPE_CHECKING:
    from .pictures import Axis


MOST = 50
"""Runs whose curves are looked up though nobody asked for a picture."""


@dataclass(frozen=True)
class Comparison(Shown):
    """Runs, and the settings in which they differ."""

    rows: tuple[RunRow, ...]
    differences: dict[str, list[Any]]
    """A value a run by dotted name; None where a run has no such setting."""

    groups: tuple[GroupRow, ...] = ()
    paired: Paired | None = None
    curves: tuple[Curve, ...] = ()
    """Their validations as training went on, or those of groups over seeds; none where
    they cannot be drawn together, or are too many."""


def compare(
    store: TaskStore,
    runs: Sequence[int | str],
    png: Path | None = None,
    axis: Axis = "minutes",
    *,
    where: str = "",
    group_by: Sequence[str] | str | None = None,
    pair: bool = False,
) -> Comparison:
    """Put runs, or those that match a filter, side by side, and draw their curves into
    `png`; in groups with means over seeds, or two of them on the same episodes.

    Raises UsageError for what is asked together and cannot be.
    """
    if bool(runs) == bool(where):
        raise UsageError("name runs to compare, or give --where FILTER: one of the two")
    if pair and (group_by is not None or png is not None):
        raise UsageError("--paired goes without --group-by and --png")
    if group_by is None:
        rows = _rows(store, runs, where)
        if png is not None:
            from .pictures import draw_curves  # with matplotlib, for a picture only

            draw_curves(curves(store, rows), png, axis)
        found = paired(store, rows) if pair else None
        drawn = () if pair else _curves(store, rows)
        return Comparison(tuple(rows), differences(rows), paired=found, curves=drawn)
    ids = [store.run(run).id for run in runs] or None
    groups = store.groups(group_by, where, ids=ids, limit=None)
    by = listed(group_by)
    if png is not None:
        from .pictures import draw_curves

        draw_curves(seed_curves(store, _rows(store, runs, where), by), png, axis)
    few = sum(group.runs for group in groups) <= MOST
    drawn = _curves(store, _rows(store, runs, where), by) if few else ()
    return Comparison((), {}, groups=tuple(groups), curves=drawn)


def _curves(
    store: TaskStore, rows: Sequence[RunRow], by: Sequence[str] = ()
) -> tuple[Curve, ...]:
    if not 0 < len(rows) <= MOST:
        return ()
    try:
        return tuple(seed_curves(store, rows, by) if by else curves(store, rows))
    except UnsupportedError:
        return ()


def _rows(store: TaskStore, runs: Sequence[int | str], where: str) -> list[RunRow]:
    """Each once, in the order asked for."""
    if where:
        return store.runs(where, sort="id", limit=None)
    return list({row.id: row for row in map(store.run, runs)}.values())


def differences(rows: Sequence[RunRow]) -> dict[str, list[Any]]:
    """The settings in which runs differ, with a value a run."""
    flat = [flat_settings(row.config) for row in rows]
    names = sorted({name for settings in flat for name in settings})
    names = [name for name in names if UNOBSERVED.match(name)]
    found = {name: [settings.get(name) for settings in flat] for name in names}
    return {
        name: values for name, values in found.items() if len(set(map(str, values))) > 1
    }
