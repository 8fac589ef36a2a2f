"""Episodes as rows: the numbers of the recipe beside what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..store.records import EpisodeRow, PruningRow, negated
from .cells import Table

COLUMNS = (
    "id",
    "evaluation_id",
    "step",
    "split",
    "index",
    "ways",
    "shots",
    "queries",
    "loss",
    "accuracy_before",
    "accuracy",
)
OF_WORLDS = (
    *("id", "evaluation_id", "step", "split", "index", "shots", "queries"),
    *("return_before", "return", "accuracy"),
)


def episode_table(found: Sequence[EpisodeRow], *, acts: bool) -> Table:
    """A row an episode."""
    rows = [episode_facts(episode, acts=acts) for episode in found]
    return Table(OF_WORLDS if acts else COLUMNS, rows)


def episode_facts(row: EpisodeRow, *, acts: bool) -> dict[str, Any]:
    """All of an episode on one level; where a policy `acts`, returns beside losses."""
    facts = asdict(row)
    task = facts.pop("task")
    if acts:
        before = row.loss_before
        facts["return_before"] = None if before is None else negated(before)
        facts["return"] = negated(row.loss)
    return {**facts, **task}


def no_episodes(run_id: int, prunings: Sequence[PruningRow], *, narrowed: bool) -> str:
    """What is said of an empty list."""
    pruned = sum(each.count for each in prunings if each.what == "episodes")
    gone = f"; {pruned} were pruned" if pruned else ""
    return ("no episodes match" if narrowed else f"run {run_id} has no episodes") + gone
