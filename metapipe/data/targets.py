"""Numbers to predict, from the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .cell import kind_of, number_of, shown
from .row import Row, column_name, origin_of


def read_targets(rows: Sequence[Row], column: str) -> NDArray[np.float32]:
    """(n, 1): the numbers of a column. Raises DataError that names the row of what is
    missing, infinite, or no number."""
    name = column_name(column)
    for number, row in enumerate(rows):
        if kind_of(row[name]) != "number":
            raise DataError(
                f"{origin_of(row, number)}: column '{name}' has {shown(row[name])}, "
                "which is no number to learn to predict: mend it, or leave the row out"
            )
    return np.array([[number_of(row[name])] for row in rows], np.float32)
