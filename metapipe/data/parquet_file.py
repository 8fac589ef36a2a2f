"""Rows of a Parquet file."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import DataError
from .cell import shown
from .file import reason
from .names import readable_name
from .row import FileRow, column_name

INDEX = re.compile(r"__index_level_\d+__|__null_dask_index__")
"""Columns in which pandas and dask keep an index that has no name."""


def parquet_rows(path: Path) -> list[FileRow]:
    """Rows by column; what is missing is empty. Raises DataError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{readable_name(path)} needs pyarrow: pip install 'metapipe[parquet]'"
        ) from error
    name = readable_name(path)
    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file).read()
        names = [column_name(column) for column in table.column_names]
        columns = [column.to_pylist() for column in table.columns]
    except MemoryError as error:
        raise DataError(f"cannot read {name}: it does not fit in memory") from error
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
        raise DataError(f"cannot read {name}: {reason(error)}") from error
    for column, count in Counter(names).items():
        if count > 1:
            raise DataError(f"{name} has a column {shown(column)} twice")
    found = {
        column: values
        for column, values in zip(names, columns, strict=True)
        if not INDEX.fullmatch(column)
    }
    return [
        FileRow(
            {column: _value(values[i]) for column, values in found.items()},
            f"{name}: row {i + 1}",
        )
        for i in range(table.num_rows)
    ]


def _value(value: Any) -> Any:
    """Empty where nothing is, as in a CSV."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else value
