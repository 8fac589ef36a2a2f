"""A run as names and values, with its evaluations, checkpoints and prunings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..store.records import CheckpointRow, EvaluationRow, PruningRow, RunRow
from .cells import Table, accuracy_text
from .evaluation import shape_text


def facts(row: RunRow) -> list[tuple[str, Any]]:
    """Names and values; None for what is not known."""
    seconds = row.train_seconds
    environment = {k: v for k, v in row.environment.items() if k != "start"}
    validation = row.val_accuracy
    judged = "to judge" if row.controls else "queries"
    return [
        ("run", f"{row.id}" + (f" '{row.name}'" if row.name else "")),
        ("status", row.status),
        ("reason", row.reason),
        ("error", row.error),
        ("tags", ", ".join(row.tags) or None),
        ("notes", row.notes),
        ("what", f"{row.algorithm} on {row.model}, {row.dataset}, seed {row.seed}"),
        ("task", f"{shape_text(row)}, {row.queries} {judged}"),
        ("step", f"{row.step} of {row.iterations}"),
        ("accuracy", accuracy_text(row.accuracy, row.accuracy_ci95)),
        ("validation", None if validation is None else f"{100 * validation:.2f} %"),
        ("loss", None if row.controls else row.loss),
        ("return", row.mean_return),
        ("training", None if seconds is None else f"{seconds:.1f} s"),
        ("device", f"{row.device}, tasks mapped by {row.mapping}"),
        ("created", row.created),
        ("finished", row.finished),
        ("starts from", _start(row)),
        ("repeats run", None if _starts_only(row) else row.parent_id),
        ("git", _git(row)),
        ("plugins", ", ".join(f"{k} ({v})" for k, v in row.plugins.items())),
        ("data", row.fingerprint),
        ("problem", _words(row.problem or {})),
        ("encoder", _words(row.encoder or {})),
        ("backbone", row.backbone),
        ("job", row.job),
        ("study", None if row.study is None else f"{row.study}, trial {row.trial}"),
        (
            "environment",
            _words(environment),
        ),
        ("directory", row.directory),
    ]


def _start(row: RunRow) -> str | None:
    """The checkpoint that it began with."""
    begun = row.environment.get("start")
    if begun is None:
        return None
    return "run {run}, {which} checkpoint of step {step}".format(**begun)


def _starts_only(row: RunRow) -> bool:
    """Whether the parent is no run that it repeats."""
    begun = row.environment.get("start")
    return begun is not None and begun["run"] == row.parent_id


def _words(values: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or None


def _git(row: RunRow) -> str | None:
    if row.git_commit is None:
        return None
    return row.git_commit + (" with uncommitted changes" if row.git_dirty else "")


def evaluation_table(evaluations: Sequence[EvaluationRow]) -> Table:
    """A row an evaluation: its loss, or of control its return beside what chance and
    others bring."""
    acts = any(e.controls for e in evaluations[:1])
    rows = [
        {
            **asdict(e),
            **{name: mean for name, (mean, _) in e.figures.items()},
            "accuracy": accuracy_text(e.accuracy, e.accuracy_ci95),
            "task": shape_text(e),
            "return": e.mean_return,
            "data": f"{e.dataset}/{e.split}",
            "changed": ", ".join(f"{k}={v}" for k, v in e.settings.items()),
        }
        for e in evaluations
    ]
    drawn = ("id", "purpose", "data", "task", "episodes", "seed", "step")
    if not acts:
        return Table((*drawn, "accuracy", "loss", "transductive", "changed"), rows)
    told = dict.fromkeys(name for e in evaluations for name in e.figures)
    others = [name for name in told if name.endswith("_return")]
    return Table((*drawn, "accuracy", "return", *others, "changed"), rows)


def checkpoint_table(checkpoints: Sequence[CheckpointRow]) -> Table:
    """A row a checkpoint."""
    rows = [asdict(checkpoint) for checkpoint in checkpoints]
    return Table(("which", "step", "sha256", "path"), rows)


def pruning_table(prunings: Sequence[PruningRow]) -> Table:
    """A row for each time that something was pruned."""
    rows = [asdict(row) for row in prunings]
    return Table(("created", "what", "evaluation_id", "count", "rule"), rows)
