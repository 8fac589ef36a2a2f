"""The tables of the task store."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

REVISION = "0005"
"""The migration these tables are at; a test holds it to Alembic's head."""

BigId = BigInteger().with_variant(Integer, "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """Aware times in UTC, also where the database keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """From UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value


class Figure(TypeDecorator[float]):
    """A figure; what is not a number (a loss that diverged) counts as infinite.

    SQLite keeps no NaN, and one that sorts nowhere would hide the worst episodes.
    """

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """To a number."""
        return math.inf if value is not None and math.isnan(value) else value


class Base(DeclarativeBase):
    """Tables with names for every constraint, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own way
        datetime: UTCDateTime,
        float: Figure,
        dict[str, Any]: JSON(none_as_null=True),
    }


class Run(Base):
    """A training run: what was asked, by what, and how it went."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200), index=True)
    status: Mapped[str] = mapped_column(String(20), index=True)
    algorithm: Mapped[str] = mapped_column(String(100), index=True)
    model: Mapped[str] = mapped_column(String(100))
    dataset: Mapped[str] = mapped_column(String(100), index=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    ways: Mapped[int]
    shots: Mapped[int]
    queries: Mapped[int]
    iterations: Mapped[int]
    step: Mapped[int] = mapped_column(default=0)
    accuracy: Mapped[float | None] = mapped_column(index=True)
    accuracy_ci95: Mapped[float | None]
    loss: Mapped[float | None] = mapped_column(index=True)
    val_accuracy: Mapped[float | None] = mapped_column(index=True)
    created: Mapped[datetime] = mapped_column(index=True)
    heartbeat: Mapped[datetime]
    finished: Mapped[datetime | None]
    train_seconds: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    device: Mapped[str] = mapped_column(String(40))
    mapping: Mapped[str | None] = mapped_column(String(40))
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL")
    )
    directory: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    git_commit: Mapped[str | None] = mapped_column(String(64))
    git_dirty: Mapped[bool | None]
    config: Mapped[dict[str, Any]]
    plugins: Mapped[dict[str, Any]]
    environment: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[dict[str, Any] | None]
    encoder: Mapped[dict[str, Any] | None]
    backbone: Mapped[str | None] = mapped_column(String(200))
    job: Mapped[str | None] = mapped_column(String(100))
    study: Mapped[str | None] = mapped_column(String(200))
    trial: Mapped[int | None]
    notes: Mapped[str | None] = mapped_column(Text)
    claim: Mapped[str | None] = mapped_column(String(36))
    reason: Mapped[str | None] = mapped_column(Text)
    origins: Mapped[dict[str, Any] | None]

    tags: Mapped[list[Tag]] = relationship(lazy="raise", order_by="Tag.tag")


class Tag(Base):
    """A word that somebody put on a run."""

    __tablename__ = "tags"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)


class Metric(Base):
    """A figure of a meta-iteration."""

    __tablename__ = "metrics"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float]


class Evaluation(Base):
    """Episodes drawn alike from one split, and their mean figures."""

    __tablename__ = "evaluations"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), index=True
    )
    created: Mapped[datetime]
    purpose: Mapped[str] = mapped_column(String(20))
    dataset: Mapped[str] = mapped_column(String(100))
    fingerprint: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(20))
    seed: Mapped[int] = mapped_column(BigInteger)
    ways: Mapped[int]
    shots: Mapped[int]
    queries: Mapped[int]
    episodes: Mapped[int]
    step: Mapped[int]
    checkpoint: Mapped[str | None] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    prediction: Mapped[str] = mapped_column(String(20))
    statistics: Mapped[str] = mapped_column(String(20))
    transductive: Mapped[bool]
    loss: Mapped[float]
    loss_ci95: Mapped[float]
    loss_before: Mapped[float | None]
    accuracy: Mapped[float | None]
    accuracy_ci95: Mapped[float | None]
    accuracy_before: Mapped[float | None]
    seconds: Mapped[float]
    figures: Mapped[dict[str, Any] | None]
    curves: Mapped[dict[str, Any] | None]
    ways_to: Mapped[int | None]
    shots_to: Mapped[int | None]
    mapping: Mapped[str | None] = mapped_column(String(40))


class Episode(Base):
    """An episode: the integers that redraw it, and what became of it.

    Data set, split and seed are those of its evaluation; a training episode has none
    and takes them from its run.
    """

    __tablename__ = "episodes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    evaluation_id: Mapped[int | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), index=True
    )
    step: Mapped[int]
    index: Mapped[int] = mapped_column(BigInteger)
    ways: Mapped[int] = mapped_column(SmallInteger)
    shots: Mapped[int] = mapped_column(Integer)
    queries: Mapped[int] = mapped_column(Integer)
    loss: Mapped[float] = mapped_column()
    loss_before: Mapped[float | None]
    accuracy: Mapped[float | None]
    accuracy_before: Mapped[float | None]
    figures: Mapped[dict[str, Any] | None]
    support: Mapped[int | None]

    # The two orders in which the millions of a run are listed, in full: sorting all of
    # them for the first ten takes seconds.
    __table_args__ = (
        Index("ix_episodes_run_id", "run_id", "id"),
        Index("ix_episodes_hardest", "run_id", "accuracy", loss.desc()),
    )


class Checkpoint(Base):
    """The `latest` checkpoint of a run, the `best`, or `best-2`: the second of them."""

    __tablename__ = "checkpoints"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    which: Mapped[str] = mapped_column(String(20), primary_key=True)
    step: Mapped[int]
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime]


class Pruning(Base):
    """What was pruned of a run: a checkpoint's file, or the episodes of an evaluation
    or, where none is named, of its training."""

    __tablename__ = "prunings"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), index=True
    )
    evaluation_id: Mapped[int | None] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), index=True
    )
    what: Mapped[str] = mapped_column(String(20))
    created: Mapped[datetime]
    count: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    rule: Mapped[str] = mapped_column(Text)
