"""Groups of runs, printed: means over seeds with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from .forms import Form, print_rows
from .output import echo, print_json

if TYPE_CHECKING:
    from ..store.records import GroupRow


def print_groups(found: Sequence[GroupRow], form: Form | None) -> None:
    """A row a group, in that form."""
    from ..facts.groups import ABOUT, as_numbers, as_texts

    if form == "json":
        print_json([asdict(group) for group in found])
        return
    flat = as_numbers if form == "csv" else as_texts
    rows = [flat(group) for group in found]
    print_rows(rows, list(rows[0]) if rows else [], form, "no runs match")
    if rows and form is None:
        echo(ABOUT, err=True)
