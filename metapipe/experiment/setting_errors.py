"""pydantic's errors as one line: where, what, from where, and what would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import did_you_mean


def first_error(
    error: ValidationError,
    cls: type[BaseModel],
    prefix: str,
    origins: Mapping[str, str],
) -> str:
    """The first fault of a settings table called `prefix`.

    `origins` tells by dotted name where a value was given.
    """
    fault = error.errors()[0]
    field = str(fault["loc"][0]) if fault["loc"] else ""
    path = ".".join([prefix, *(str(part) for part in fault["loc"])])
    where = origins.get(f"{prefix}.{field}", "")
    source = f" ({where})" if where else ""
    if fault["type"] == "extra_forbidden":
        hint = did_you_mean(field, cls.model_fields)
        return f"unknown setting '{path}'{source}; {hint}"
    reason = _reason(fault)
    if not fault["loc"]:  # of several settings together, which the reason names
        return f"[{prefix}] {reason}"
    return f"{path} = {_shown(fault['input'])}{source}: {reason}"


def _reason(fault: Mapping[str, Any]) -> str:
    """pydantic's message, without its own prefix."""
    if fault["type"] in ("list_type", "tuple_type"):
        return "should be a list"
    message = str(fault["msg"])
    return message.removeprefix("Value error, ").removeprefix("Input ").strip()


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # too many digits, or too deep
        return f"(a huge {type(value).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."
