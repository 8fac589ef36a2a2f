"""Who is alive: a running run whose process has died is `lost`.

That is found out where it is asked for and written nowhere, so that readers need no
permission to write. Lost is a run whose heartbeat is too old; one of this very machine
is as soon as its process is gone, and not before: a suspended process may wake.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, case, or_, select
from sqlalchemy.orm import Session

from ..errors import NotFoundError, UsageError
from .schema import Run

LOST_AFTER = timedelta(seconds=60)
"""A running run that was silent for so long is lost."""

ROUNDING = timedelta(seconds=2)
"""By how much a system may be wrong about when a process started."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def status(session: Session) -> ColumnElement[str]:
    """What to select, compare and sort by as the status of runs, at this moment."""
    asked, here = now(), socket.gethostname()
    own = select(Run.id, Run.pid, Run.heartbeat).where(
        Run.status == "running", Run.host == here
    )
    living = [
        run_id
        for run_id, pid, heartbeat in session.execute(own)
        if lives(pid, heartbeat)
    ]
    # One that was heard since we asked is no longer what we saw.
    dead = (Run.host == here) & (Run.heartbeat <= asked) & Run.id.not_in(living)
    silent = (Run.host != here) & (Run.heartbeat < asked - LOST_AFTER)
    lost = (Run.status == "running") & or_(dead, silent)
    return case((lost, "lost"), else_=Run.status)


def require_still(session: Session, run_id: int, own: bool = False) -> tuple[str, int]:
    """Lock the run for this transaction; returns its status and step. Who takes over
    its `own` run knows that the process before is gone.

    Raises UsageError if a process is at it, NotFoundError if there is none.
    """
    session.execute(select(Run.id).where(Run.id == run_id).with_for_update())
    asked = select(status(session), Run.pid, Run.host, Run.step).where(Run.id == run_id)
    found = session.execute(asked).one_or_none()
    if found is None:
        raise NotFoundError(f"no run {run_id} in this store")
    if found[0] == "running" and not own:
        raise UsageError(
            f"run {run_id} is running already: process {found.pid} on {found.host}"
        )
    return str(found[0]), found.step


def lives(pid: int, heartbeat: datetime) -> bool:
    """Whether a process of this machine is the one that sent the heartbeat: another may
    have got a dead one's number, and in a container that starts anew at once."""
    import psutil  # only where a run of this machine runs: it takes a while to import

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        started = datetime.fromtimestamp(process.create_time(), UTC)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody else's process
        return True
    return started <= heartbeat + ROUNDING
