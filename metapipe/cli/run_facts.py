"""A run, printed, with its evaluations and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .drawing import draw_run
from .output import echo, heading, print_facts, print_table

if TYPE_CHECKING:
    from ..store.records import RunRow
    from ..store.store import TaskStore


def print_run(row: RunRow, store: TaskStore) -> None:
    """Facts and settings, then a table of each kind of what the run has."""
    from ..facts import run

    print_facts(run.facts(row))
    echo()
    for table, values in row.config.items():
        echo(f"[{table}]  " + "  ".join(f"{k}={v}" for k, v in values.items()))
    draw_run(store, row)
    for name, found in (
        ("evaluations", run.evaluation_table(store.evaluations(row.id))),
        ("checkpoints", run.checkpoint_table(store.checkpoints(row.id))),
        ("pruned", run.pruning_table(store.prunings(row.id))),
    ):
        if found.rows:
            heading(name)
            print_table(found.rows, found.columns)
