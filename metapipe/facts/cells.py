"""A value as the text of a cell: on a terminal, in a file, on a page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..printable import ACTING, printable

Rows = Sequence[Mapping[str, Any]]

FORMULA = ("=", "+", "-", "@")
"""With what text begins that a spreadsheet calculates, and may act on."""

_ACTING = re.compile(rf"(?!\n){ACTING.pattern}")
"""What acts, but for the line breaks between the lines of a document: in its texts JSON
itself escapes them."""


@dataclass(frozen=True)
class Table:
    """Rows, and which of their values are shown in which order."""

    columns: tuple[str, ...]
    rows: Rows

    def cells(self) -> list[list[str]]:
        """The texts, row by row."""
        return [[format_cell(r.get(c), c) for c in self.columns] for r in self.rows]


def format_cell(value: Any, column: str = "") -> str:
    """A value for people: percentages for accuracies, local times, four digits."""
    if value is None or _is_no_number(value):
        return ""
    if isinstance(value, float):
        if "accuracy" in column:
            return f"{100 * value:.2f} %"
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    if isinstance(value, dict | list | tuple):
        return json_text(value)
    return printable(str(value))


def accuracy_text(accuracy: float | None, ci95: float | None) -> str | None:
    """`82.47 ± 0.61 %`."""
    if accuracy is not None and ci95 is None:
        return f"{100 * accuracy:.2f} %"
    if accuracy is None or ci95 is None:
        return None
    return f"{100 * accuracy:.2f} ± {100 * ci95:.2f} %"


def csv_cell(value: Any) -> str:
    """Text on one line, empty for None; numbers, and text that is one, stay as they
    are. What a spreadsheet would take for a formula has an apostrophe before it."""
    value = value if isinstance(value, str) else plain(value)
    text = printable("" if value is None else str(value))
    if isinstance(value, str) and text.startswith(FORMULA) and not _is_numeric(text):
        return f"'{text}"
    return text


def json_text(
    value: Any, indent: int | None = None, *, ascii_only: bool = False
) -> str:
    """JSON text without any characters that act on a terminal; what is no number, for
    which JSON has no word, is null."""
    text = json.dumps(
        plain(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False
    )
    return _ACTING.sub(lambda found: json.dumps(found[0])[1:-1], text)


def plain(value: Any) -> Any:
    """JSON-able."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return None if _is_no_number(value) else value


def _is_numeric(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
