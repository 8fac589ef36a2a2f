"""Rows of mixed columns as vectors, by scikit-learn's preprocessing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ..encoder import Encoder, Form
from ..errors import DataError
from .table_files import Row

MOST = 100
"""Categories of a column; one with more is an identifier."""


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
    def fit(cls, rows: Sequence[Row], features: Sequence[str], label: str) -> Self:
        """Preprocessing fitted on the rows of a training split.

        A column is numbers if all its values are, or are missing.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        if not features:
            raise DataError("there are no columns to learn from beside the label's")
        numbers, categories = [], []
        for name in features:
            values = [row[name] for row in rows]
            if all(_is_number(value) for value in values):
                column = np.array([[_number(value)] for value in values])
                if np.isnan(column).all():
                    raise DataError(f"column '{name}' is empty in the training split")
                imputer = SimpleImputer(strategy="median").fit(column)
                scaler = StandardScaler().fit(imputer.transform(column))
                numbers.append(
                    Number(
                        name=name,
                        median=imputer.statistics_[0],
                        mean=scaler.mean_[0],
                        deviation=scaler.scale_[0],
                    )
                )
                continue
            encoder = OneHotEncoder(handle_unknown="ignore")
            encoder.fit([[str(value)] for value in values])
            found = tuple(map(str, encoder.categories_[0]))
            if len(found) > MOST:
                raise DataError(
                    f"column '{name}' has {len(found)} different names: leave it out "
                    "with -s dataset.features=[...]"
                )
            categories.append(Category(name=name, values=found))
        return cls(label=label, numbers=tuple(numbers), categories=tuple(categories))

    @property
    def shape(self) -> tuple[int, ...]:
        """(features,)."""
        return (len(self.numbers) + sum(len(c.values) for c in self.categories),)

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Rows by column, or pandas Series -> (n, features)."""
        rows = [self._row(item) for item in items]
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

    def _row(self, item: Mapping[str, Any]) -> list[float]:
        values: list[float] = []
        try:
            for number in self.numbers:
                value = _number(item[number.name])
                value = number.median if math.isnan(value) else value
                values.append((value - number.mean) / number.deviation)
            for category in self.categories:
                name = str(item[category.name])
                values += [float(name == known) for known in category.values]
        except KeyError as error:
            raise DataError(f"a row has no column {error}") from error
        except (TypeError, ValueError) as error:
            raise DataError(
                f"a row has a value that is no number: {error}; the row is {dict(item)}"
            ) from error
        return values


def _number(value: Any) -> float:
    """NaN if it is missing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    return float(value)


def _is_number(value: Any) -> bool:
    try:
        return not math.isinf(_number(value))
    except (TypeError, ValueError):
        return False
