"""Between the tables and the records that callers see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Select, case, literal, select

from ..episode import Task
from ..events import EpisodeRecord
from . import schema
from .records import EpisodeRow, EvaluationRow, NewEvaluation, NewRun, Pair, RunRow

Row = TypeVar("Row")


def columns(new: NewRun | NewEvaluation) -> dict[str, Any]:
    """Field by field; mappings as plain dictionaries."""
    values = {f.name: getattr(new, f.name) for f in fields(new)}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def evaluation_columns(new: NewEvaluation) -> dict[str, Any]:
    """Those of an evaluation; NULL where there are no further figures or curves."""
    curves = {name: [_finite(p) for p in curve] for name, curve in new.curves.items()}
    figures = {name: _finite(pair) for name, pair in new.figures.items()}
    return columns(new) | {"figures": figures or None, "curves": curves or None}


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures as JSON takes them, which has nothing for what is not finite."""
    return {
        name: value if math.isfinite(value) else None for name, value in figures.items()
    }


def record(kind: type[Row], row: schema.Base) -> Row:
    """A row as the record of the same field names."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # always a dataclass
    return kind(**{name: getattr(row, name) for name in names})


def run_row(row: schema.Run, status: str) -> RunRow:
    """A run, with its status of now and its tags."""
    values = {f.name: getattr(row, f.name) for f in fields(RunRow)}
    tags = tuple(tag.tag for tag in row.tags)
    return RunRow(**{**values, "status": status, "tags": tags})


def evaluation_row(row: schema.Evaluation) -> EvaluationRow:
    """An evaluation, with pairs as pairs."""
    values = {f.name: getattr(row, f.name) for f in fields(EvaluationRow)}
    figures = {name: _pair(kept) for name, kept in (row.figures or {}).items()}
    curves = {
        name: tuple(_pair(kept) for kept in curve)
        for name, curve in (row.curves or {}).items()
    }
    return EvaluationRow(**{**values, "figures": figures, "curves": curves})


def headline(evaluation: NewEvaluation) -> dict[str, Any]:
    """What an evaluation changes in the run's own figures."""
    if evaluation.purpose == "test":
        names = ("accuracy", "accuracy_ci95", "loss")
        return {name: getattr(evaluation, name) for name in names}
    if evaluation.purpose == "adaptation":  # of a run that is nothing else
        learned_from = evaluation.settings.get("judged") == "support"
        return {} if learned_from else {"accuracy": evaluation.accuracy}
    if evaluation.purpose != "validation":
        return {}
    best, new = schema.Run.val_accuracy, evaluation.accuracy
    if new is None:
        return {"val_accuracy": best}
    return {"val_accuracy": case((best > new, best), else_=new)}


def episode_rows(
    run_id: int, evaluation_id: int | None, episodes: Sequence[EpisodeRecord]
) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run_id,
            "evaluation_id": evaluation_id,
            "step": met.step,
            "index": met.task.index,
            "ways": met.task.ways,
            "shots": met.task.shots,
            "queries": met.task.queries,
            "loss": met.loss,
            "loss_before": met.loss_before,
            "accuracy": met.accuracy,
            "accuracy_before": met.accuracy_before,
            "figures": finite(met.figures) or None,
            "support": met.task.support,
        }
        for met in episodes
    ]


def recipe(name: Literal["dataset", "split", "seed"]) -> ColumnElement[Any]:
    """A part of an episode's recipe: its evaluation's, or in training its run's."""
    theirs = literal("train") if name == "split" else getattr(schema.Run, name)
    training = schema.Episode.evaluation_id.is_(None)
    return case((training, theirs), else_=getattr(schema.Evaluation, name))


def with_recipe() -> Select[Any]:
    """Episodes with the data set, split and seed they were drawn from."""
    query: Select[Any] = select(
        schema.Episode, recipe("dataset"), recipe("split"), recipe("seed")
    )
    own = schema.Evaluation.id == schema.Episode.evaluation_id
    return query.join(schema.Run, schema.Run.id == schema.Episode.run_id).outerjoin(
        schema.Evaluation, own
    )


def episode_row(row: schema.Episode, dataset: str, split: str, seed: int) -> EpisodeRow:
    numbers = (row.index, row.ways, row.shots, row.queries, row.support)
    return EpisodeRow(
        id=row.id,
        run_id=row.run_id,
        evaluation_id=row.evaluation_id,
        step=row.step,
        task=Task(dataset, split, seed, *numbers),
        loss=row.loss,
        loss_before=row.loss_before,
        accuracy=row.accuracy,
        accuracy_before=row.accuracy_before,
        figures=row.figures or {},
    )


def _finite(pair: Pair) -> list[float | None]:
    return [v if v is not None and math.isfinite(v) else None for v in pair]


def _pair(kept: Sequence[float | None]) -> Pair:
    mean, ci95 = kept
    return mean, ci95
