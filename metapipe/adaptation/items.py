"""What a user hands in from Python: things for an encoder, numbers, and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from .adaptable import Adaptable


def encoded(items: Any, opened: Adaptable) -> Tensor:
    """Inputs (n, *shape) that the encoder makes of them."""
    encoder = opened.require_encoder()
    encoder.check()
    return encoder.encode(list(items))


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
    """A file's name or content, a picture, or an array that is one."""
    known = isinstance(item, str | bytes | Path) or hasattr(item, "getexif")
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
