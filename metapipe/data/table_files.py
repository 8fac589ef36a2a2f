"""Tables in files: CSV and TSV, plain or gzipped, or Parquet."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, PathError, did_you_mean
from .cell import number_of
from .delimited_text import decoded, delimited_rows
from .file import UNREADABLE, read_file, reason
from .leftovers import is_leftover
from .names import normal_name, readable_name
from .parquet_file import parquet_rows
from .passed_over import OTHER, PassedOver
from .row import FileRow, Row, column_name

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")

MAX_TABLE = 2**30
MAX_GROWTH = 50
MIN_LIMIT = 2**28
"""A table has at most MAX_TABLE bytes; a gzipped one grows to at most so many times its
size, or to MIN_LIMIT."""


def read_rows(
    path: Path, columns: Sequence[str] = (), filled: Sequence[str] = ()
) -> list[Row]:
    """All rows as dictionaries by column; `columns` have to be there, and those of
    `filled` to say something in every row. Names of columns are in their normal form.

    Raises DataError for a file that cannot be read, has no such column or one twice, or
    has a row of another length.
    """
    name = readable_name(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise PathError(f"{name} is none of {', '.join(SUFFIXES)}")
    try:
        rows = _rows(path)
    except UNREADABLE as error:
        raise DataError(f"cannot read {name}: {reason(error)}") from error
    if not rows:
        raise DataError(f"{name} has no rows")
    for column in columns:
        if column_name(column) not in rows[0]:
            raise DataError(f"{name} has no column '{column}'; {_hint(column, rows)}")
    for row in rows:
        if all(str(value).strip() == name for name, value in row.items()):
            raise DataError(f"{row.origin} is the header again: leave it out")
        for column in filled:
            if not normal_name(row[column_name(column)]):
                raise DataError(f"{row.origin} says nothing in '{column}'")
    return list(rows)


def find_tables(root: Path) -> list[Path]:
    """The file itself, or all tables in a folder, by name; what else is in it is told
    of. Raises PathError if nothing is there."""
    name = readable_name(root)
    try:
        if not root.is_dir():
            root.stat()
            return [root]
        found = [path for path in root.iterdir() if not is_leftover(path.name)]
    except FileNotFoundError as error:
        raise PathError(
            f"{name} does not exist: give a table, or a folder of tables"
        ) from error
    except (OSError, ValueError) as error:
        raise PathError(f"cannot read {name}: {reason(error)}") from error
    tables, passed = [], PassedOver()
    for path in sorted(found):
        if path.name.lower().endswith(SUFFIXES):
            tables.append(path)
        else:
            passed.add("folders" if path.is_dir() else OTHER, (path.name,))
    if not tables:
        raise DataError(f"{name} has no tables ({', '.join(SUFFIXES)})")
    _require_different(tables)
    passed.tell(root)
    return tables


def _require_different(tables: Sequence[Path]) -> None:
    """Refuse a table that is there twice, as `t.csv` and `t.csv.gz`."""
    stems: dict[str, Path] = {}
    for path in tables:
        other = stems.setdefault(_stem(path), path)
        if other is not path:
            raise DataError(
                f"{readable_name(other)} and {path.name} are one table, twice: move "
                "one of them away"
            )


def _stem(path: Path) -> str:
    name = path.name.lower()
    return next(name.removesuffix(s) for s in SUFFIXES[::-1] if name.endswith(s))


def _rows(path: Path) -> list[FileRow]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return parquet_rows(path)
    content = read_file(path, MAX_TABLE)
    if name.endswith(".gz"):
        content = _unpacked(content, path)
    text = decoded(content, path)
    if not text.strip():
        raise DataError(f"{readable_name(path)} is empty")
    return delimited_rows(text, path, "\t" if ".tsv" in name else ",")


def _unpacked(content: bytes, path: Path) -> bytes:
    most = min(MAX_TABLE, max(MIN_LIMIT, MAX_GROWTH * len(content)))
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise DataError(
            f"{readable_name(path)} would unpack to more than {most >> 20} MiB: if you "
            "trust it, unpack it"
        )
    return found


def _hint(column: str, rows: Sequence[Row]) -> str:
    names = list(rows[0])
    if all(number_of(name) is not None for name in names[:2]):
        return f"its first line ({', '.join(names[:3])}, ...) seems to be no header"
    return did_you_mean(column, names)
