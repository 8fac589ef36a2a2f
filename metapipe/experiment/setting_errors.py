"""pydantic's errors as one line: where, what, from where, and what would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import did_you_mean
from ..printable import without_passwords


def first_error(
    error: ValidationError,
    cls: type[BaseModel],
    prefix: str,
    origins: Mapping[str, str],
) -> str:
    """The first fault of a settings table called `prefix`.

    `origins` tells by dotted name where a value was given.
    """
    fault = _fault(error)
    field = str(fault["loc"][0]) if fault["loc"] else ""
    path = ".".join([prefix, *(str(part) for part in fault["loc"] if _is_place(part))])
    where = origins.get(f"{prefix}.{field}", "")
    source = f" ({where})" if where else ""
    if fault["type"] == "extra_forbidden":
        hint = did_you_mean(field, cls.model_fields)
        return f"unknown setting '{path}'{source}; {hint}"
    reason = _reason(fault)
    if not fault["loc"]:  # of several settings together, which the reason names
        return f"[{prefix}] {reason}"
    return f"{path} = {_shown(fault['input'])}{source}: {reason}"


def _fault(error: ValidationError) -> Mapping[str, Any]:
    """The first; of those of one value that may be of several kinds, that of the kind
    it comes nearest to."""
    faults = error.errors()
    where = faults[0]["loc"][:1]
    alike = [fault for fault in faults if fault["loc"][:1] == where]
    return max(alike, key=lambda f: (len(f["loc"]), f["type"] == "value_error"))


def _is_place(part: object) -> bool:
    """Whether it is a name or a number, and not the kind that pydantic tried."""
    return not (isinstance(part, str) and ("[" in part or part[:1].isupper()))


def _reason(fault: Mapping[str, Any]) -> str:
    """pydantic's message, without its own prefix."""
    if fault["type"] in ("list_type", "tuple_type"):
        return "should be a list"
    message = str(fault["msg"])
    return message.removeprefix("Value error, ").removeprefix("Input ").strip()


def _shown(value: Any) -> str:
    try:
        text = without_passwords(repr(value))
    except (ValueError, RecursionError):  # too many digits, or too deep
        return f"(a huge {type(value).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."
