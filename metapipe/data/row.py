"""A row of a table, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DataError
from ..printable import one_line
from .names import normal_name

Row = dict[str, Any]
"""Values by column."""


class FileRow(dict[str, Any]):
    """A row that was read from a file: its columns have normal names."""

    def __init__(self, values: Mapping[str, Any], origin: str) -> None:
        """origin: the file, and which of its rows it is."""
        super().__init__(values)
        self.origin = origin


def column_name(text: object) -> str:
    """The one form of a column's name: normal, and in one line."""
    return normal_name(one_line(text))


def origin_of(row: object, number: int) -> str:
    """Where a row stands, for people; `number` counts from 0 where no file is known."""
    return row.origin if isinstance(row, FileRow) else f"row {number + 1}"


def cells_of(item: Any, origin: str) -> Mapping[str, Any]:
    """The values of a row by the names of its columns: of a mapping, or of a
    pandas Series. Raises DataError for anything else."""
    if isinstance(item, FileRow):
        return item
    if not isinstance(item, Mapping) and hasattr(item, "to_dict"):
        item = item.to_dict()
    if not isinstance(item, Mapping):
        raise DataError(
            f"{origin}: a row is wanted, values by column, not "
            f"{type(item).__name__}: read a table first, as by pandas.read_csv"
        )
    cells = {column_name(name): value for name, value in item.items()}
    if len(cells) < len(item):
        raise DataError(f"{origin} has two columns of one name: {', '.join(cells)}")
    return cells
