"""Facts of the data as columns, tags and notes, claims, further figures, movable paths.

Columns are only added, so that millions of episodes take no time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Change the tables, then the rows of runs and checkpoints."""
    for table, column in _new_columns():
        op.add_column(table, column)
    op.create_table(
        "tags",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_tags_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_tag"), "tags", ["tag"])
    # Alembic would make the table anew on SQLite.
    op.execute("ALTER TABLE checkpoints RENAME COLUMN kind TO which")
    # Who is lost is found out when it is asked.
    op.execute("UPDATE runs SET status = 'running' WHERE status = 'lost'")
    _take_facts_out_of_the_environment()
    _shorten_paths()


def _new_columns() -> Iterator[tuple[str, sa.Column[Any]]]:
    yield "runs", sa.Column("fingerprint", sa.String(length=64), nullable=True)
    yield "runs", sa.Column("problem", JSON, nullable=True)
    yield "runs", sa.Column("encoder", JSON, nullable=True)
    yield "runs", sa.Column("backbone", sa.String(length=200), nullable=True)
    yield "runs", sa.Column("job", sa.String(length=100), nullable=True)
    yield "runs", sa.Column("study", sa.String(length=200), nullable=True)
    yield "runs", sa.Column("trial", sa.Integer(), nullable=True)
    yield "runs", sa.Column("notes", sa.Text(), nullable=True)
    yield "runs", sa.Column("claim", sa.String(length=36), nullable=True)
    yield "runs", sa.Column("reason", sa.Text(), nullable=True)
    yield "evaluations", sa.Column("figures", JSON, nullable=True)
    yield "evaluations", sa.Column("curves", JSON, nullable=True)
    yield "episodes", sa.Column("figures", JSON, nullable=True)
    yield "episodes", sa.Column("support", sa.Integer(), nullable=True)


def _take_facts_out_of_the_environment() -> None:
    names = ("environment", "problem", "encoder")
    runs = sa.table(
        "runs",
        sa.column("id"),
        sa.column("fingerprint"),
        *(sa.column(name, JSON) for name in names),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(runs.c.id, runs.c.environment)).all()
    changes: list[dict[str, Any]] = []
    for run_id, environment in rows:
        if "classes" in (problem := environment.get("problem") or {}):
            problem["class_count"] = problem.pop("classes")
        facts = {
            "fingerprint": environment.pop("data", None),
            "problem": environment.pop("problem", None),
            "encoder": environment.pop("encoder", None),
        }
        if any(fact is not None for fact in facts.values()):
            changes.append({"run": run_id, "environment": environment, **facts})
    if changes:
        changed = runs.update().where(runs.c.id == sa.bindparam("run"))
        connection.execute(changed, changes)


def _shorten_paths() -> None:
    """Paths below the folder of a SQLite file begin there; servers have no folder."""
    connection = op.get_bind()
    database = connection.engine.url.database
    if connection.dialect.name != "sqlite" or not database:
        return
    home = Path(database).resolve().parent
    for table, column in (("runs", "directory"), ("checkpoints", "path")):
        rows = connection.execute(sa.text(f"SELECT rowid, {column} FROM {table}")).all()
        shorter = ((row, _below(home, path)) for row, path in rows)
        changes = [{"row": row, "path": path} for row, path in shorter if path]
        if changes:
            changed = f"UPDATE {table} SET {column} = :path WHERE rowid = :row"
            connection.execute(sa.text(changed), changes)


def _below(home: Path, path: str) -> str | None:
    for whole in (Path(path), Path(path).resolve()):
        if Path(path).is_absolute() and whole.is_relative_to(home):
            return whole.relative_to(home).as_posix()
    return None
