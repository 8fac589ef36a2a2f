"""Old checkpoints and episodes pruned by a rule; figures, settings and runs stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from ..store import TaskStore
from ..store.pruning_rule import PruningRule
from .removal import remove_files


@dataclass(frozen=True)
class Pruned:
    """What is pruned of a run."""

    run: int
    status: str
    checkpoints: list[str]
    """latest, best."""

    bytes: int
    """Of their files."""

    episodes: int


@dataclass(frozen=True)
class Pruning:
    """What is pruned of a store."""

    done: bool
    """Whether it was, or would be."""

    runs: list[Pruned]
    running: list[int]
    """Runs that match and were left alone, because they are running."""

    left: list[str] = field(default_factory=list)
    """Files that were not removed, and why."""


def prune(
    store: TaskStore, rule: PruningRule, where: str = "", *, really: bool = False
) -> Pruning:
    """Prune the runs that match a filter, but for those that are running; what would be
    pruned, unless `really`.

    Raises UsageError for a rule that takes nothing, FilterError.
    """
    if rule.checkpoints_before is None and rule.episodes_before is None:
        raise UsageError(
            "nothing to prune was named: --checkpoints-before AGE, --episodes-before "
            "AGE or both, as in 30d"
        )
    pruned, running, left = [], [], []
    for run in store.runs(where, sort="id", limit=None):
        if run.status == "running":
            running.append(run.id)
            continue
        try:
            taken = (store.prune if really else store.prunable)(run.id, rule)
        except UsageError:  # resumed meanwhile
            running.append(run.id)
            continue
        checkpoints, episodes = taken
        if really:
            needed = {row.path for row in store.checkpoints(run.id)}
            paths = {row.path for row in checkpoints} - needed
            left += remove_files(store, run, [Path(path) for path in sorted(paths)])
        if checkpoints or episodes:
            names = [row.which for row in checkpoints]
            size = sum(row.bytes for row in checkpoints)
            many = sum(count for _, count in episodes)
            pruned.append(Pruned(run.id, run.status, names, size, many))
    if really and any(each.episodes for each in pruned):
        store.compact()
    return Pruning(really, pruned, running, left)
