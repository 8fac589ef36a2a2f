"""What a user hands in from Python: things for an encoder, numbers, and labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from ..data.feature_encoder import FeatureEncoder
from ..data.row import column_name
from ..encoder import Encoder
from ..runs.counting import counted


def encoded(items: Any, encoder: Encoder) -> Tensor:
    """Inputs (n, *shape) that the encoder makes of them; of the rows of a DataFrame."""
    encoder.check()
    several = _records(items) if _is_frame(items) else list(items)
    if not isinstance(encoder, FeatureEncoder) or not several:
        return encoder.encode(several)
    each = counted(several, len(several), "vectors")
    return torch.cat([encoder.encode([item]) for item in each])


def require_several(items: Any) -> None:
    """Raise ValueError for one thing where a list of them is wanted."""
    one = isinstance(items, str | bytes | Path) or hasattr(items, "getexif")
    if one or (isinstance(items, Mapping) and not hasattr(items, "shape")):
        name = type(items).__name__
        raise ValueError(f"X is one {name}: a list of them is wanted")


def require_pictures(array: NDArray[Any]) -> None:
    """Raise ValueError for an array that is one picture."""
    if array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[1] > 4:
        raise ValueError(
            f"X of shape {array.shape} is one picture: a list of them is wanted"
        )


def is_table(items: Any, encoder: Encoder | None) -> bool:
    """Whether it is a DataFrame for the encoder: with a column of those that it knows,
    or with one that has no numbers."""
    if encoder is None or encoder.form != "row" or not _is_frame(items):
        return False
    known = getattr(encoder, "columns", ()) or (getattr(encoder, "text", ""),)
    names = {column_name(name) for name in items.columns}
    return bool(names & set(known)) or np.asarray(items).dtype.kind not in "biuf"


def _is_frame(items: Any) -> bool:
    """Of pandas or polars."""
    return hasattr(items, "columns") and getattr(items, "ndim", 2) == 2


def _records(frame: Any) -> list[dict[str, Any]]:
    """Its rows, values by column. Raises ValueError if two columns have one name."""
    names = [column_name(name) for name in frame.columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"X has a column '{twice[0]}' twice")
    if hasattr(frame, "iter_rows"):  # polars
        rows = frame.iter_rows()
    else:
        rows = frame.itertuples(index=False, name=None)
    return [dict(zip(names, row, strict=True)) for row in rows]


def is_items(items: Any) -> bool:
    """Whether it is a sequence of things for an encoder, not numbers."""
    if hasattr(items, "to_numpy") and getattr(items, "ndim", 0) == 1:  # a pandas Series
        return is_items(items.to_list())
    if isinstance(items, np.ndarray):
        return items.dtype.kind in "UO" and items.ndim == 1
    if not isinstance(items, list | tuple):
        return False
    return any(_is_item(item) for item in items)


def _is_item(item: Any) -> bool:
    """A file's name or content, a picture, an array that is one, or a row by column."""
    known = isinstance(item, str | bytes | Path | Mapping) or hasattr(item, "getexif")
    known = known or (hasattr(item, "to_dict") and getattr(item, "ndim", 0) == 1)
    return known or (isinstance(item, np.ndarray) and item.ndim > 1)


def column(y: Any) -> NDArray[Any]:
    """Labels (n,), all names or all numbers. Raises ValueError for anything else."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if isinstance(y, list | tuple) and len({isinstance(v, str) for v in y}) > 1:
        raise ValueError("y mixes names and numbers: make all of them names")
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    return labels
