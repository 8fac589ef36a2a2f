"""A column of a table to learn from: numbers, or names; what is neither is refused."""

from __future__ import annotations

import json
import logging
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from math import isfinite
from typing import Literal

from ..errors import DataError
from .cell import Kind, is_missing, kind_of, number_of, shown
from .row import Row, origin_of

MOST = 100
"""Names of a column; one with more is an identifier."""

FEW = 5
"""A column of fewer rows cannot be told from one that counts them."""

LONG = 20
"""Rows that follow each other in steps of one size, where a table has several such
runs: less may be by design."""

SHARE = 0.9
"""Of the rows that are in such runs, if a column counts rows."""

SHOWN = 3

logger = logging.getLogger("metapipe")


def type_of_column(
    column: str, rows: Sequence[Row], as_names: bool = False
) -> Literal["numbers", "names"]:
    """What a column holds. `as_names` says that it holds names, whatever they look
    like.

    Raises DataError for what has to be cleared first, with some of the cells: nothing
    in any row, dates, lists, infinite numbers, numbers written in another way, a few
    words among numbers, and a name for each row.
    """
    found = _rows_by_kind(column, rows)
    if not found.keys() - {"missing"}:
        raise DataError(f"column '{column}' is empty in the training split")
    if "nested" in found:
        raise DataError(
            f"column '{column}' holds lists or records "
            f"({_some(column, rows, found['nested'])}): {_leave_out(column)}"
        )
    if not as_names:
        _require_clear(column, rows, found)
        if "number" in found and "name" not in found and "date" not in found:
            return "numbers"
    names = {str(row[column]).strip() for row in rows if not is_missing(row[column])}
    if len(names) > MOST or (len(names) == len(rows) >= FEW):
        raise DataError(
            f"column '{column}' has {len(names)} different names in {len(rows)} rows, "
            f"as an identifier has: {_leave_out(column)}"
        )
    return "names"


def require_no_counter(column: str, rows: Sequence[Row], by: str) -> None:
    """Raise DataError for a column that counts the rows of its table, as an index does
    that was saved with it: where rows are sorted, it tells the class. `by` is the
    column of classes or groups; to count within them is no fault. Another whole number
    in each row is told of."""
    cells = [(number_of(row[column]), row) for row in rows]
    known = [cell for cell in cells if cell[0] is not None and isfinite(cell[0])]
    numbers = [float(number or 0) for number, _ in known]
    labels = [str(row[by]) for _, row in known]
    if len(numbers) < max(FEW, SHARE * len(rows)):
        return
    if _is_shuffled_count(numbers) or _is_rising(numbers) or _counts(numbers, labels):
        raise DataError(
            f"column '{column}' counts the rows ({shown(rows[0][column])} to "
            f"{shown(rows[-1][column])}), as an index does that was saved with the "
            f"table: {_leave_out(column)}, or take it by naming all columns to learn "
            f"from, {_setting('features', column)} and so on"
        )
    if len(numbers) >= LONG and _are_different_whole(numbers):
        logger.warning(
            "column '%s' has another whole number in each row: if it is an "
            "identifier, %s",
            column,
            _leave_out(column),
        )


def _rows_by_kind(column: str, rows: Sequence[Row]) -> Mapping[Kind, list[int]]:
    """Of each kind, the numbers of the rows whose cell is of it."""
    found: dict[Kind, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        found[kind_of(row[column])].append(number)
    return found


def _require_clear(
    column: str, rows: Sequence[Row], found: Mapping[Kind, list[int]]
) -> None:
    names = f"or say that it holds names with {_setting('names', column)}"
    some = {kind: _some(column, rows, numbers) for kind, numbers in found.items()}
    count = {kind: len(numbers) for kind, numbers in found.items()}
    numbers, words = count.get("number", 0), count.get("name", 0)
    if "infinite" in found:
        raise DataError(
            f"column '{column}' has {some['infinite']}, which is no finite number of "
            "single precision: mend it, or write nothing there"
        )
    if count.get("date", -1) >= words:
        raise DataError(
            f"column '{column}' has dates, such as {some['date']}: make numbers of "
            f"them (days since one), {_leave_out(column)}, {names}"
        )
    if "written" in found and numbers + count["written"] >= words:
        raise DataError(
            f"column '{column}' has {some['written']}, which is read as no number: "
            "write it with a point and without separators, units or percent signs, "
            f"{names}"
        )
    if words and numbers >= words:
        raise DataError(
            f"column '{column}' has numbers in {numbers} rows, and in {words} "
            f"{some['name']}: write nothing where a number is missing, {names}"
        )


def _some(column: str, rows: Sequence[Row], numbers: Sequence[int]) -> str:
    """The first of some rows' cells, and where they are."""
    cells = [
        f"{shown(rows[number][column])} ({origin_of(rows[number], number)})"
        for number in numbers[:SHOWN]
    ]
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(cells) + more


def _leave_out(column: str) -> str:
    return f"leave it out with {_setting('without', column)}"


def _setting(name: str, column: str) -> str:
    """An option as a shell takes it."""
    value = json.dumps([column], ensure_ascii=False)
    return f"-s {shlex.quote(f'dataset.{name}={value}')}"


def _are_different_whole(numbers: Sequence[float]) -> bool:
    whole = all(number.is_integer() for number in numbers)
    return whole and len(set(numbers)) == len(numbers)


def _is_shuffled_count(numbers: Sequence[float]) -> bool:
    """0 to n - 1 in any order, or from another number on."""
    return (
        _are_different_whole(numbers)
        and max(numbers) - min(numbers) == len(numbers) - 1
    )


def _is_rising(numbers: Sequence[float]) -> bool:
    """Whole numbers that rise, or fall, with every row: an index with gaps."""
    signs = {_sign(b - a) for a, b in pairwise(numbers)}
    return len(numbers) >= LONG and _are_different_whole(numbers) and len(signs) == 1


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _counts(numbers: Sequence[float], labels: Sequence[str]) -> bool:
    """Whether the most of the rows are in runs of equal steps across several classes:
    tables that were put one below the other with their indices."""
    inside = 0
    for start, end in _runs(numbers):
        length = end - start
        long = length >= LONG or length == len(numbers)
        if long and len(set(labels[start:end])) > 1:
            inside += length
    return inside >= SHARE * len(numbers)


def _runs(numbers: Sequence[float]) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of rows that follow each other in equal steps, not of 0."""
    steps = [b - a for a, b in pairwise(numbers)]
    size = max(map(abs, numbers)) * 1e-9  # tenths are not exact
    place = 0
    for key, members in groupby(steps, key=lambda step: round(step / (size or 1))):
        count = len(list(members))
        if key:
            yield place, place + count + 1
        place += count
