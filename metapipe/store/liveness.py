"""Who is alive: runs whose process has died are marked `lost`.

Dead is a run whose heartbeat is too old, or whose process on this very machine is gone.
The mark is written, so that filters, sort orders and everybody else agree with it; a
run that is heard again takes it back.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import case, or_, select, update
from sqlalchemy.orm import Session

from ..errors import UsageError
from . import schema
from .database import Database

LOST_AFTER = timedelta(seconds=60)
"""A running run that was silent for so long is lost."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def alive() -> dict[str, Any]:
    """A heartbeat; it also takes back that the run was thought lost."""
    status = schema.Run.status
    healed = case((status == "lost", "running"), else_=status)
    return {"heartbeat": now(), "status": healed}


def mark_lost(database: Database) -> None:
    """Let nobody read of a dead run that it is running."""
    run, silent_since, here = schema.Run, now() - LOST_AFTER, socket.gethostname()
    running = select(run.pid, run.host, run.heartbeat).where(run.status == "running")
    with database.reading() as session:
        found = session.execute(running).all()
    gone = [pid for pid, host, _ in found if host == here and not _exists(pid)]
    if gone or any(heartbeat < silent_since for _, _, heartbeat in found):
        dead = or_(run.heartbeat < silent_since, (run.host == here) & run.pid.in_(gone))
        # Asked again: meanwhile they may have ended well.
        still = (run.status == "running") & dead
        with database.writing() as session:
            session.execute(update(run).where(still).values(status="lost"))


def require_idle(session: Session, run_id: int) -> None:
    """Lock the run for this transaction; UsageError if a process is at it."""
    locked = select(schema.Run).where(schema.Run.id == run_id).with_for_update()
    run = session.scalar(locked)
    if run is not None and run.status == "running":
        raise UsageError(
            f"run {run_id} is running already: process {run.pid} on {run.host}"
        )


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True
