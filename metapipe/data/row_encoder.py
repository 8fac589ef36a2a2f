"""Rows of mixed columns as vectors, by scikit-learn's preprocessing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ..encoder import Encoder, Form
from ..errors import DataError, did_you_mean
from .cell import LARGEST, is_missing, number_of, shown
from .column import type_of_column
from .names import normal_name
from .row import Row, cells_of, column_name, origin_of

logger = logging.getLogger("metapipe")


class Number(BaseModel):
    """A column of numbers: what is missing becomes the median, then all is scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    name: str
    median: float
    mean: float
    deviation: float


class Category(BaseModel):
    """A column of names: one-hot; a name never seen is all zeros."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    values: tuple[str, ...]


class TableEncoder(Encoder):
    """A row as a vector: numbers scaled, names one-hot."""

    form: ClassVar[Form] = "row"
    type: Literal["table"] = "table"
    label: str
    """Column that has the class or the target."""

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]

    @classmethod
    def fit(
        cls,
        rows: Sequence[Row],
        features: Sequence[str],
        label: str,
        names: Collection[str] = (),
    ) -> Self:
        """Preprocessing fitted on the rows of a training split.

        A column is numbers if all its values are, or are missing; those of `names` are
        names whatever they look like. Raises DataError for a column that has to be
        cleared first; see `metapipe.data.column.type_of_column`.
        """
        if not features:
            raise DataError("there are no columns to learn from beside the label's")
        numbers, categories = [], []
        for name in features:
            if type_of_column(name, rows, name in names) == "numbers":
                numbers.append(_numbers(name, rows))
            else:
                categories.append(_categories(name, rows))
        return cls(label=label, numbers=tuple(numbers), categories=tuple(categories))

    @property
    def shape(self) -> tuple[int, ...]:
        """(features,)."""
        return (len(self.numbers) + sum(len(c.values) for c in self.categories),)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that a row has to have."""
        names = [column.name for column in self.numbers]
        return (*names, *(column.name for column in self.categories))

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Rows by column, or pandas Series -> (n, features).

        Raises DataError that names the row and the column of what is no number.
        """
        rows = [
            self._row(cells_of(item, origin := origin_of(item, number)), origin)
            for number, item in enumerate(items)
        ]
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, *self.shape)

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, features): normal numbers, and of each name one or, for a name never
        seen, none."""
        generator = torch.Generator().manual_seed(seed)
        parts = [torch.randn(count, len(self.numbers), generator=generator)]
        for category in self.categories:
            size = len(category.values)
            chosen = torch.randint(size + 1, (count,), generator=generator)
            parts.append(F.one_hot(chosen, size + 1)[:, :size].float())
        return torch.cat(parts, 1)

    def _row(self, cells: Mapping[str, Any], origin: str) -> list[float]:
        values: list[float] = []
        for column in self.numbers:
            value = _cell(cells, column.name, origin)
            number = number_of(value)
            if number is None and is_missing(value):
                number = column.median
            scaled = _scaled(number, column)
            if scaled is None:
                raise DataError(
                    f"{origin}: column '{column.name}' has {shown(value)}, which is no "
                    "finite number of single precision"
                )
            values.append(scaled)
        for category in self.categories:
            name = _name(_cell(cells, category.name, origin))
            values += [float(name == normal_name(known)) for known in category.values]
        return values


def _scaled(number: float | None, column: Number) -> float | None:
    """None if it, or what it becomes, is no number of single precision."""
    if number is None or not abs(number) <= LARGEST:
        return None
    scaled = (number - column.mean) / column.deviation
    return scaled if abs(scaled) <= LARGEST else None


def _cell(cells: Mapping[str, Any], column: str, origin: str) -> Any:
    if column in cells:
        return cells[column]
    name = column_name(column)  # an old run may have learned another form of it
    if name not in cells:
        hint = did_you_mean(name, cells)
        raise DataError(f"{origin} has no column '{name}'; {hint}")
    return cells[name]


def _name(value: Any) -> str:
    """Of a category; empty where nothing is. Words such as NA may be names."""
    missing = not isinstance(value, str) and is_missing(value)
    return "" if missing else normal_name(value)


def _numbers(name: str, rows: Sequence[Row]) -> Number:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    found = [number_of(row[name]) for row in rows]
    column = np.array([[np.nan if v is None else v] for v in found], np.float64)
    imputer = SimpleImputer(strategy="median").fit(column)
    scaler = StandardScaler().fit(imputer.transform(column))
    _report_constant(name, len(set(found)))
    return Number(
        name=name,
        median=imputer.statistics_[0],
        mean=scaler.mean_[0],
        deviation=scaler.scale_[0],
    )


def _categories(name: str, rows: Sequence[Row]) -> Category:
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore")
    encoder.fit([[_name(row[name])] for row in rows])
    found = tuple(map(str, encoder.categories_[0]))
    _report_constant(name, len(found))
    return Category(name=name, values=found)


def _report_constant(name: str, different: int) -> None:
    if different == 1:
        logger.warning(
            "column '%s' is the same in all training rows: nothing is learned from it",
            name,
        )
