"""Records as HTML: tables and pictures in a notebook. All text in it is escaped."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import singledispatch
from html import escape
from pathlib import Path
from typing import Any

from ..errors import MetapipeError, UsageError
from ..facts.cells import Table, format_cell
from ..facts.comparison import comparison_table, paired_facts
from ..facts.episodes import episode_facts, episode_table
from ..facts.evaluation import evaluation_facts
from ..facts.groups import as_texts
from ..facts.run import checkpoint_table, evaluation_table
from ..facts.run import facts as run_facts
from ..facts.runs import run_table, with_words
from ..store.records import CheckpointRow, EpisodeRow, EvaluationRow, GroupRow, RunRow
from .comparison import Comparison
from .confusion import Confusion
from .outcome import Outcome
from .replay import Replay

Facts = Iterable[tuple[str, Any]]

MOST = 50
"""Rows of a table that is shown of itself."""


def as_html(records: Any) -> str:
    """A record of the store or what a function returned, as HTML that is safe to show:
    a table, with a picture where there is one; a list of records is one table.

    Raises UsageError for what is no record.
    """
    if isinstance(records, list | tuple):
        return _several(records)
    return "".join(_html(records))


@singledispatch
def _html(record: Any) -> Iterator[str]:
    raise UsageError(
        f"{type(record).__name__} has no form in HTML: give a record of the store, or "
        "what a function of metapipe returned"
    )


@_html.register
def _run(row: RunRow) -> Iterator[str]:
    yield _facts(run_facts(row))


@_html.register
def _evaluation(found: EvaluationRow) -> Iterator[str]:
    yield _facts([("evaluation", found.id), *evaluation_facts(found)])


@_html.register
def _episode(episode: EpisodeRow) -> Iterator[str]:
    yield _facts(episode_facts(episode, acts=False).items())


@_html.register
def _outcome(outcome: Outcome) -> Iterator[str]:
    evaluation = outcome.evaluation
    yield _facts(
        [
            ("run", outcome.run_id),
            ("status", outcome.status),
            ("reason", outcome.reason),
            ("iterations", outcome.step),
            *(evaluation_facts(evaluation) if evaluation else ()),
            ("device", f"{outcome.device}, tasks mapped by {outcome.mapping}"),
            ("directory", outcome.directory),
        ]
    )


@_html.register
def _comparison(found: Comparison) -> Iterator[str]:
    if found.paired is not None:
        yield _facts(paired_facts(found.paired))
    elif found.groups:
        yield _several(found.groups)
    else:
        yield _table(comparison_table(found.rows, found.differences))
    if found.curves:
        from .pictures import draw_curves  # with matplotlib

        names = ", ".join(curve.name for curve in found.curves)
        yield _picture(
            lambda path: draw_curves(found.curves, path, "iterations"),
            f"validation over iterations of {names}",
        )


@_html.register
def _confusion(found: Confusion) -> Iterator[str]:
    pairs = [asdict(pair) for pair in found.pairs[:MOST]]
    yield _table(Table(("true", "predicted", "wrong", "of", "share"), pairs))
    classes = [asdict(each) for each in found.classes[:MOST]]
    yield _table(Table(("name", "queries", "accuracy"), classes))


@_html.register
def _replay(again: Replay) -> Iterator[str]:
    from .pictures import draw_episode  # with matplotlib

    task = again.task
    yield _facts(
        [
            ("data", f"{task.dataset}/{task.split}"),
            ("episode", f"seed {task.seed}, index {task.index}"),
            ("accuracy", again.accuracy),
            ("loss", None if again.returns else again.loss),
            ("returns", again.returns or None),
        ]
    )
    try:
        yield _picture(
            lambda path: draw_episode(again, path),
            f"support and queries, with predictions, of {task.dataset}/{task.split}",
        )
    except MetapipeError:
        return  # not of what can be drawn


def _several(records: Sequence[Any]) -> str:
    """Records of one kind, a row each."""
    kinds = {type(record) for record in records}
    if not records:
        return "<p>none</p>"
    if len(kinds) > 1 or kinds.isdisjoint(TABLES):
        return "".join(as_html(record) for record in records)
    (kind,) = kinds
    more = len(records) - MOST
    left_out = f"<p>and {more} more</p>" if more > 0 else ""
    return _table(TABLES[kind](records[:MOST])) + left_out


TABLES: dict[type, Callable[[Any], Table]] = {
    RunRow: lambda rows: with_words(run_table(rows, None)),
    EvaluationRow: evaluation_table,
    EpisodeRow: lambda rows: episode_table(rows, acts=False),
    CheckpointRow: checkpoint_table,
    GroupRow: lambda rows: _table_of([as_texts(row) for row in rows]),
}
"""How several of a kind are one table."""


def _table_of(rows: Sequence[dict[str, Any]]) -> Table:
    return Table(tuple(rows[0]), rows)


def _facts(facts: Facts) -> str:
    """Names and values; None is left out."""
    rows = [
        f"<tr><th>{escape(name)}</th><td>{escape(format_cell(value, name))}</td></tr>"
        for name, value in facts
        if value is not None
    ]
    return f"<table>{''.join(rows)}</table>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in table.cells()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _picture(draw: Callable[[Path], None], words: str) -> str:
    """What `draw` writes as PNG, with words for those who cannot see it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        draw(path)
        data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">'
