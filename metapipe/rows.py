"""Rows of a table: CSV, plain or gzipped, or Parquet."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import DataError, did_you_mean

Row = dict[str, Any]
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_rows(path: Path, columns: Sequence[str] = ()) -> list[Row]:
    """All rows as dictionaries by column; `columns` have to be there.

    Raises DataError for a file that cannot be read, has no such column, or has a row of
    another length.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise DataError(f"{path} is none of {', '.join(SUFFIXES)}")
    try:
        rows = _parquet(path) if name.endswith(".parquet") else _csv(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not rows:
        raise DataError(f"{path} has no rows")
    for column in columns:
        if column not in rows[0]:
            raise DataError(
                f"{path} has no column '{column}'; {did_you_mean(column, rows[0])}"
            )
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
        rows: list[Row] = list(csv.DictReader(file, delimiter=delimiter, strict=True))
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise DataError(f"{path}: row {number} has another length than the header")
    return rows


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
