"""A table for LaTeX's package booktabs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .cells import Rows, format_cell

LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "\n": " ",
}
"""What means something to LaTeX, or is not in its fonts, and how it is written."""


def latex(rows: Rows, columns: Sequence[str]) -> str:
    """A table of LaTeX's package booktabs; numbers stand at the right."""
    numbers = [
        all(isinstance(row.get(c), int | float | None) for row in rows) for c in columns
    ]
    cells = [[format_cell(row.get(c), c) for c in columns] for row in rows]
    lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (columns, *cells)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{''.join('r' if n else 'l' for n in numbers)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^±\n]", lambda found: LATEX[found[0]], text)
