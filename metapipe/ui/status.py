"""An error in the words of HTTP: its status, and one line."""

from __future__ import annotations

import logging
import os

from ..errors import (
    DataError,
    MetapipeError,
    NotFoundError,
    StoreError,
    UnknownNameError,
    UsageError,
)
from ..printable import one_line
from .permission import ForbiddenError

STATUS: dict[type[Exception], int] = {
    NotFoundError: 404,
    UnknownNameError: 404,
    DataError: 404,
    ForbiddenError: 403,
    UsageError: 400,
    StoreError: 503,
}
"""Of the first that an error is one of; others are ours, 500."""

logger = logging.getLogger("metapipe")


def status_of(error: Exception) -> int:
    """The HTTP status of an error."""
    return next((s for cls, s in STATUS.items() if isinstance(error, cls)), 500)


def line_of(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, MetapipeError):
        return str(error)
    if os.environ.get("METAPIPE_DEBUG"):
        logger.error("an error of metapipe's own", exc_info=error)
    text = one_line(error)
    return f"{type(error).__name__}: {text} (METAPIPE_DEBUG=1 shows where)"
