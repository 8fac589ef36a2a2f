"""Runs by groups: a mean and an interval over seeds, reckoned by the database.

Runs of one seed and the same settings are the same run again, and no new evidence: each
seed counts once, by the mean of its runs. The interval is Student's over those means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, select, true
from sqlalchemy.orm import Session

from ..errors import FilterError, did_you_mean
from .differences import differences
from .fields import Field, Fields, number, run_fields, shared
from .filters import parse
from .flat_settings import flat_settings
from .liveness import status
from .paging import Page
from .records import Fold, GroupRow
from .schema import Run
from .student import half_width

FIGURES = ("val_accuracy", "accuracy", "loss")
SAMPLE = 50
"""Runs whose settings are looked at for the name that was meant."""


@dataclass(frozen=True)
class Grouping:
    """What is asked: by which fields, of which runs, which figures."""

    by: Sequence[str]
    where: str = ""
    figures: Sequence[str] = FIGURES
    ids: Collection[int] | None = None
    """Of these runs only."""


def groups(
    session: Session, asked: Grouping, sort: str | None, page: Page
) -> list[GroupRow]:
    """The groups in order, each with its figures. Raises FilterError."""
    known = run_fields(status(session))
    keys = _fields(asked.by, known, "group by")
    figures = [number(f) for f in _fields(asked.figures, known, "figures")]
    chosen = _chosen(asked, known)
    folded = _folded([shared(key) for key in keys], figures, chosen).subquery()
    order = _order(asked, sort, folded)
    rows = session.execute(page.cut(select(folded).order_by(*order))).mappings().all()
    _require_present(session, keys, rows, chosen)
    found = [tuple(row[f"k{i}"] for i in range(len(keys))) for row in rows]
    runs = {key: int(row["runs"]) for key, row in zip(found, rows, strict=True)}
    many = [group for group, count in runs.items() if count > 1]
    differs = differences(session, keys, many, known, chosen) if many else {}
    return [
        GroupRow(
            {key.name: _value(key, v) for key, v in zip(keys, values, strict=True)},
            runs[values],
            row["seeds"],
            {name: _fold(row, i) for i, name in enumerate(asked.figures)},
            tuple(sorted(differs.get(values, ()))),
        )
        for values, row in zip(found, rows, strict=True)
    ]


def listed(names: Sequence[str] | str) -> tuple[str, ...]:
    """Names as a list, or with commas between; each once."""
    parts = names.split(",") if isinstance(names, str) else names
    return tuple(dict.fromkeys(part.strip() for part in parts))


def _fields(names: Sequence[str], known: Fields, what: str) -> list[Field]:
    if not any(names):
        raise FilterError(f"{what}: it names nothing; write algorithm,training.lr")
    try:
        return [known.find(name) for name in names]
    except FilterError as error:
        raise FilterError(f"{what}: {error}") from error


def _chosen(asked: Grouping, known: Fields) -> ColumnElement[bool]:
    ids = true() if asked.ids is None else Run.id.in_(asked.ids)
    return and_(ids, parse(asked.where, known))


def _folded(
    keys: Sequence[ColumnElement[Any]],
    figures: Sequence[ColumnElement[Any]],
    chosen: ColumnElement[bool],
) -> Select[Any]:
    """A row a group: `k0, k1, ...`, runs, seeds, and of each figure `count0, mean0,
    squares0, ...` over seeds. Deviations are taken from the mean, in a second look:
    the difference of two sums of squares would be lost in rounding."""
    k = [key.label(f"k{i}") for i, key in enumerate(keys)]
    f = [figure.label(f"f{i}") for i, figure in enumerate(figures)]
    runs = select(*k, Run.seed.label("of_seed"), *f).where(chosen).subquery().c
    by = [runs[f"k{i}"] for i in range(len(k))]
    means = [func.avg(runs[f"f{i}"]).label(f"f{i}") for i in range(len(f))]
    seeds = select(*by, func.count().label("runs"), *means)
    seeds_of = seeds.group_by(*by, runs.of_seed).subquery().c
    by = [seeds_of[f"k{i}"] for i in range(len(k))]
    middle = [
        func.avg(seeds_of[f"f{i}"]).over(partition_by=by).label(f"m{i}")
        for i in range(len(f))
    ]
    c = select(*seeds_of, *middle).subquery().c
    by = [c[f"k{i}"] for i in range(len(k))]
    reckoned: list[ColumnElement[Any]] = []
    for i in range(len(f)):
        off = c[f"f{i}"] - c[f"m{i}"]
        reckoned += [
            func.count(c[f"f{i}"]).label(f"count{i}"),
            func.avg(c[f"f{i}"]).label(f"mean{i}"),
            func.sum(off * off).label(f"squares{i}"),
        ]
    counts = func.sum(c.runs).label("runs"), func.count().label("seeds")
    return select(*by, *counts, *reckoned).group_by(*by)


def _order(
    asked: Grouping, sort: str | None, folded: Subquery
) -> list[ColumnElement[Any]]:
    """By what a group has; by default the best validation first."""
    names = {name: folded.c[f"k{i}"] for i, name in enumerate(asked.by)}
    names |= {name: folded.c[f"mean{i}"] for i, name in enumerate(asked.figures)}
    names |= {name: folded.c[name] for name in ("runs", "seeds")}
    if sort is None:
        sort = "-val_accuracy" if "val_accuracy" in names else ""
    order: list[ColumnElement[Any]] = []
    for part in filter(None, (piece.strip() for piece in sort.split(","))):
        name = part.removeprefix("-").strip()
        if name not in names:
            raise FilterError(f"sort: groups have no '{name}'; {_near(name, names)}")
        column = names[name]
        order.append((column.desc() if part[0] == "-" else column.asc()).nulls_last())
    return [*order, *(folded.c[f"k{i}"] for i in range(len(asked.by)))]


def _fold(row: Any, i: int) -> Fold:
    count, mean, squares = (row[f"{name}{i}"] for name in ("count", "mean", "squares"))
    if mean is None:
        return Fold(count, None, None)
    finite = math.isfinite(mean)
    half = half_width(count, float(squares)) if finite and count > 1 else None
    return Fold(count, float(mean), half)


def _value(key: Field, kept: Any) -> Any:
    return json.loads(kept) if key.type == "json" else kept


def _require_present(
    session: Session, keys: Sequence[Field], rows: Any, chosen: ColumnElement[bool]
) -> None:
    """Refuse a setting that no run has: a slip of the pen."""
    for i, key in enumerate(keys):
        if key.type != "json" or not rows or any(r[f"k{i}"] != "null" for r in rows):
            continue
        newest = select(Run.config, Run.metrics).where(chosen).order_by(Run.id.desc())
        known = {
            name
            for config, metrics in session.execute(newest.limit(SAMPLE))
            for name in flat_settings({**config, "metrics": metrics})
        }
        if key.name.removeprefix("config.") not in known:
            raise FilterError(
                f"group by: no run has '{key.name}'; {_near(key.name, known)}"
            )


def _near(name: str, known: Collection[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if len(known) < 30 or hint.startswith("did") else "see 'runs show RUN'"
