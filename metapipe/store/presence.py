"""Who is alive: runs whose process has died are marked `lost`."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, or_, select, update
from sqlalchemy.orm import Session

from . import schema

LOST_AFTER = timedelta(seconds=60)
"""A running run that was silent for so long is lost."""


def now() -> datetime:
    return datetime.now(UTC)


def alive() -> dict[str, Any]:
    """A heartbeat; it also takes back that the run was thought lost."""
    status = schema.Run.status
    healed = case((status == "lost", "running"), else_=status)
    return {"heartbeat": now(), "status": healed}


def mark_lost(session: Session) -> None:
    """Runs that were silent too long, or whose process on this machine is gone."""
    run, host = schema.Run, socket.gethostname()
    here = select(run.id, run.pid).where(run.status == "running", run.host == host)
    dead = [run_id for run_id, pid in session.execute(here) if not _exists(pid)]
    silent = run.heartbeat < now() - LOST_AFTER
    running = select(run.id).where(
        and_(run.status == "running", or_(silent, run.id.in_(dead)))
    )
    lost = list(session.scalars(running))
    if lost:
        session.execute(update(run).where(run.id.in_(lost)).values(status="lost"))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
