"""A project with runs that have all that a run can have, made without training."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session
from store_rows import EVALUATION, RUN, episodes

from metapipe import CheckpointInfo
from metapipe.store import TaskStore, engine, schema

TABLES = {
    schema.Run: ("id",),
    schema.Tag: ("run_id", "tag"),
    schema.Metric: ("run_id", "name", "step"),
    schema.Evaluation: ("id",),
    schema.Episode: ("id",),
    schema.Checkpoint: ("run_id", "which"),
    schema.Pruning: ("id",),
}


def opened(url: str, project: Path) -> TaskStore:
    return TaskStore.open(url, runs=project / ".metapipe" / "runs")


def checkpoint(directory: Path, which: str, step: int) -> CheckpointInfo:
    """A file of that name; what is in it matters to nobody here."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{which}-{step:08d}-ab12.safetensors"
    path.write_bytes(bytes([step % 256]) * (500 + step))
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    return CheckpointInfo(path, sha, path.stat().st_size, step, which)


def keep_run(store: TaskStore, project: Path, name: str, parent: int | None) -> int:
    """A completed run with two evaluations, training episodes, a tag and notes."""
    folder = hashlib.sha256(f"{name}{parent}".encode()).hexdigest()[:6]
    directory = project / ".metapipe" / "runs" / f"20261126-010203-{folder}"
    facts: Mapping[str, Any] = {
        "problem": {"kind": "classification", "ways": 5},
        "encoder": {"type": "image", "size": [28, 28]},
        "git_commit": "a" * 40,
        "job": "17",
        "study": "größe",
        "trial": 3,
    }
    new = replace(
        RUN, name=name, directory=str(directory), parent_id=parent, seed=2**40, **facts
    )
    run_id = store.begin_run(new)
    store.update_run(run_id, mapping="vmap")
    for step in (50, 100):
        store.record_metrics(run_id, step, {"loss": 1 / step, "odd": math.inf})
    store.record_episodes(run_id, [replace(e, step=100) for e in episodes(4)])
    validation = replace(EVALUATION, purpose="validation", split="val", accuracy=None)
    store.record_evaluation(run_id, replace(validation, step=50), episodes(3, 50))
    info = checkpoint(directory, "best", 50)
    store.save_checkpoint(run_id, info)
    store.save_checkpoint(run_id, checkpoint(directory, "latest", 100))
    test = replace(
        EVALUATION,
        checkpoint=info.sha256,
        settings={"test_steps": 3},
        figures={"residual": (0.1, None)},
        curves={"loss": [(2.0, 0.1), (1.0, 0.05)]},
    )
    met = [replace(e, figures={"residual": 0.1 + 0.2}) for e in episodes(5)]
    ended = {"metrics": {"test_accuracy": 0.8}, "train_seconds": 12.25}
    store.complete_run(run_id, test, met, **ended)
    store.tag(run_id, ["baseline", "été"])
    store.note(run_id, "as in the paper;\n\"quoted\", 'too' ⟨ü⟩")
    return run_id


def keep_two(url: str, project: Path) -> None:
    """Two runs, of which the second repeats the first."""
    with opened(url, project) as store:
        first = keep_run(store, project, "first", None)
        keep_run(store, project, "second", first)


def told(url: str, beyond: int = 0) -> dict[str, list[dict[str, Any]]]:
    """All rows of runs beyond an id, as the database has them; ids as places in their
    order, and places of files as their names."""
    connected = engine.connect(url)
    with Session(connected) as session:
        rows = {
            table.__tablename__: [
                dict(row)
                for row in session.execute(
                    select(*table.__table__.columns)
                    .where(run_id_of(table) > beyond)
                    .order_by(*(table.__table__.columns[name] for name in key))
                ).mappings()
            ]
            for table, key in TABLES.items()
        }
    connected.dispose()
    place = {
        name: {row["id"]: at for at, row in enumerate(rows[name])}
        for name in ("runs", "evaluations", "episodes", "prunings")
    }
    named = {"run_id": "runs", "parent_id": "runs", "evaluation_id": "evaluations"}
    for name, found in rows.items():
        for row in found:
            for column in row:
                owner = name if column == "id" else named.get(column)
                if owner and row[column] is not None:
                    row[column] = place[owner][row[column]]
            if "path" in row:
                row["path"] = Path(row["path"]).name
            row.pop("directory", None)
    return rows


def run_id_of(table: type[schema.Base]) -> Any:
    columns = table.__table__.columns
    return columns["id" if table is schema.Run else "run_id"]


def contents(url: str, project: Path, beyond: int = 0) -> list[bytes]:
    """Of all checkpoints of those runs, in the order of their rows."""
    with opened(url, project) as store:
        return [
            Path(row.path).read_bytes()
            for run in store.runs(f"id>{beyond}", sort="id")
            for row in store.checkpoints(run.id)
        ]


def change(url: str, *statements: str) -> None:
    """Do to a database what nobody should, without its foreign keys."""
    connected = engine.connect(url)
    unbound = engine.migrating(connected)
    with unbound.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    connected.dispose()
