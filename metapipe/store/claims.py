"""Which process a run belongs to.

Who begins or reopens a run puts a new claim on it. A process that was suspended, and
wakes after another took its run over, holds a claim that is no longer the run's: it
writes nothing more.
"""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import ClaimError, NotFoundError
from .schema import Run


def new_claim() -> str:
    """A claim that nobody else has."""
    return str(uuid4())


class Claims:
    """The claims that one opened store holds, by run."""

    def __init__(self) -> None:
        self._held: dict[int, str] = {}

    def hold(self, run_id: int, claim: str) -> None:
        """Remember a claim that was written."""
        self._held[run_id] = claim

    def held(self, run_id: int) -> str | None:
        """The claim on a run, if one is held."""
        return self._held.get(run_id)

    def require(self, session: Session, run_id: int) -> None:
        """Make sure, until this transaction ends, that the run is ours.

        Raises ClaimError if it is another's, NotFoundError if there is none.
        """
        # Locked but for its key: evaluations by others may refer to it meanwhile.
        found = session.execute(
            select(Run.claim, Run.pid, Run.host)
            .where(Run.id == run_id)
            .with_for_update(key_share=True)
        ).one_or_none()
        if found is None:
            raise NotFoundError(f"no run {run_id} in this store")
        claim, pid, host = found
        held = self._held.get(run_id)
        if held is None:
            raise ClaimError(
                f"run {run_id} belongs to process {pid} on {host}: only who began or "
                "reopened a run writes its records"
            )
        if held != claim:
            raise ClaimError(
                f"run {run_id} has been taken over by process {pid} on {host}; this "
                "process stops"
            )
