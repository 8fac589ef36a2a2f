"""Whether a launcher started this process as one of several, and joining the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import torch

from ..errors import CrewError
from ..training.crew import ALONE, Crew

UNNAMED = ("", "none")
"""What torchrun calls a job that nobody gave a name."""

LONGEST = 100
"""Characters of a job's name that the store has room for."""

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Place:
    """Where a launcher, such as torchrun, put this process: the only one, if there was
    no launcher."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of this machine."""

    job: str | None = None
    """The launcher's name for all of them."""

    restarts: int = 0
    """How often they were started again, since one was killed."""

    most_restarts: int = 0

    @classmethod
    def here(cls) -> Self:
        """As RANK, WORLD_SIZE and others of torchrun's variables say. Raises CrewError
        for what is no number."""
        job = os.environ.get("TORCHELASTIC_RUN_ID", "")[:LONGEST]
        return cls(
            rank=_number("RANK", 0),
            size=_number("WORLD_SIZE", 1),
            local_rank=_number("LOCAL_RANK", 0),
            job=None if job in UNNAMED else job,
            restarts=_number("TORCHELASTIC_RESTART_COUNT", 0),
            most_restarts=_number("TORCHELASTIC_MAX_RESTARTS", 0),
        )

    def saw_end(self, finished: datetime | None) -> bool:
        """Whether a run ended, if it did, since the launcher began to start processes,
        and not long before it."""
        if finished is None:
            return True
        import psutil  # only for those that were started again

        launcher = psutil.Process().parent()
        begun = launcher.create_time() if launcher else 0.0
        return finished.timestamp() >= begun


NOWHERE = Place()


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise CrewError(f"{name} = {text!r} in the environment: a number is wanted")
    return int(text)


@contextmanager
def joined(place: Place, wait: float) -> Iterator[Crew]:
    """Be one of the crew that was started, which waits so many seconds for each other.

    Only rank 0 has anything to tell. Raises CrewError in a line if they do not meet.
    """
    if place.size == 1:
        yield ALONE
        return
    if not torch.distributed.is_available():
        raise CrewError(
            "this torch has no distributed support: use --processes 1, or install "
            "another build of torch"
        )
    from ..training.gloo_crew import meeting

    if torch.cuda.is_available():
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
    if place.rank == 0:
        _warn_of_restarts(place)
    level = logger.level
    if place.rank:
        logger.setLevel(logging.CRITICAL)
    try:
        with meeting(place.rank, place.size, wait) as crew:
            yield crew
    finally:
        logger.setLevel(level)


def _warn_of_restarts(place: Place) -> None:
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if place.most_restarts and shared:
        logger.warning(
            "start torchrun with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1: without it "
            "processes that are started again may not find each other (pytorch 135712)"
        )
