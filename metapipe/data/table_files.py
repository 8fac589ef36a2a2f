"""Rows of a table: CSV, plain or gzipped, or Parquet."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError, did_you_mean

Row = dict[str, Any]
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_rows(
    path: Path, columns: Sequence[str] = (), filled: Sequence[str] = ()
) -> list[Row]:
    """All rows as dictionaries by column; `columns` have to be there, and those of
    `filled` to say something in every row.

    Raises DataError for a file that cannot be read, has no such column or one twice, or
    has a row of another length.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise DataError(f"{path} is none of {', '.join(SUFFIXES)}")
    try:
        rows = _parquet(path) if name.endswith(".parquet") else _csv(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {reason}") from error
    if not rows:
        raise DataError(f"{path} has no rows")
    for column in columns:
        if column not in rows[0]:
            hint = did_you_mean(column, rows[0])
            if len(rows[0]) == 1 and ";" in next(iter(rows[0])):
                hint = "its columns are separated by ';': use ',', or tabs in a .tsv"
            raise DataError(f"{path} has no column '{column}'; {hint}")
    for number, row in enumerate(rows, start=1):
        for column in filled:
            if not str(row[column]).strip():
                raise DataError(f"{path}: row {number} says nothing in '{column}'")
    return rows


def find_tables(root: Path) -> list[Path]:
    """The file itself, or all tables in a folder, by name."""
    if root.is_file():
        return [root]
    if not root.exists():
        raise DataError(f"{root} does not exist: give a table, or a folder of tables")
    found = sorted(p for p in root.iterdir() if p.name.lower().endswith(SUFFIXES))
    if not found:
        raise DataError(f"{root} has no tables ({', '.join(SUFFIXES)})")
    return found


def _csv(path: Path) -> list[Row]:
    name = path.name.lower()
    opener: Any = gzip.open if name.endswith(".gz") else open
    delimiter = "\t" if ".tsv" in name else ","
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        names = list(reader.fieldnames or ())
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"{path} has a column '{twice[0]}' twice")
        rows: list[Row] = []
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path}: line {reader.line_num} has {_length(row)} values, and "
                    f"the header {len(names)}"
                )
            rows.append(row)
    return rows


def _length(row: Row) -> int:
    """How many values a row had that fits no header."""
    more = row.get(None, [])  # type: ignore[call-overload]  # csv's place for them
    return sum(value is not None for key, value in row.items() if key) + len(more)


def _parquet(path: Path) -> list[Row]:
    try:
        import pandas
    except ImportError as error:
        raise DataError(
            f"{path} needs pandas and pyarrow: pip install 'metapipe[parquet]'"
        ) from error
    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise DataError(
            f"{path} needs pyarrow: pip install 'metapipe[parquet]'"
        ) from error
    except ValueError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    rows: list[Row] = frame.astype(object).where(frame.notna(), "").to_dict("records")
    return rows
