"""Where a run goes on: at its newest checkpoint that is whole, as its records are."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError
from ..events import CheckpointInfo
from ..store import StoreReader
from ..store.checkpoint_names import LATEST, best_name
from ..store.records import RunRow
from ..training.checkpoint import Checkpoint, load
from .ranking import Ranking, from_header
from .run_files import (
    DIRECTORY,
    is_ours,
    our_checkpoints,
    require_there,
    step_of,
)
from .stored_run import require_unpruned
from .stretch import Stretch

logger = logging.getLogger("metapipe")

CHECKSUMS = 2
"""Of this format on, files tell by themselves whether they are whole."""


@dataclass(frozen=True)
class Resumption:
    """A checkpoint to go on from."""

    checkpoint: Checkpoint
    info: CheckpointInfo
    known: bool
    """Whether the store has a row for it."""

    unrecorded: Stretch | None
    """What its writer could not tell the store, which was away."""

    ranking: Ranking
    """The best validations, as it tells them."""

    best: Sequence[int]
    """Their steps, if it is the checkpoint of one of them."""

    @property
    def recorded(self) -> int:
        """Up to which step its writer had told the store all."""
        return self.unrecorded.since if self.unrecorded else self.checkpoint.step


def resumption(store: StoreReader, row: RunRow) -> Resumption | None:
    """Where to go on with a run; None for the start.

    A killed process may have left a newer checkpoint than the store knows of, and a
    file may have been damaged since: what was tried and cannot be used is told. Raises
    CheckpointError if there were checkpoints and none is left.
    """
    directory = Path(row.directory)
    if not DIRECTORY.fullmatch(directory.name):
        raise CheckpointError(
            f"the store says that run {row.id} has its files in {directory}, where no "
            f"run has: repeat it with metapipe train --from-run {row.id}"
        )
    known = {Path(c.path).resolve(): c.sha256 for c in store.checkpoints(row.id)}
    faults = []
    for path in _newest_first(directory, known):
        try:
            require_there(path, row)
            found = _opened(path, known.get(path), directory)
        except CheckpointError as error:
            faults.append(error)
            continue
        if found.recorded <= row.step:
            for fault in faults:
                logger.warning("%s", fault)
            logger.info("going on from %s", path)
            return found
    if faults:
        raise CheckpointError(
            f"{faults[0]}; no other checkpoint of run {row.id} is left: repeat it with "
            f"metapipe train --from-run {row.id}"
        )
    require_unpruned(store, row)
    return None


def _newest_first(directory: Path, known: Mapping[Path, str]) -> list[Path]:
    """By their names, which tell the step; of equals the latest, which is written after
    the best and has with it what the store was not told, and those that it knows."""
    found = {*known, *(path.resolve() for path in our_checkpoints(directory))}

    def newness(path: Path) -> tuple[int, bool, bool, str]:
        latest = path.name.startswith(LATEST)
        return step_of(path), latest, path in known, path.name

    return sorted(found, key=newness, reverse=True)


def _opened(path: Path, sha256: str | None, directory: Path) -> Resumption:
    """Raises CheckpointError for what is not whole, or not ours."""
    if not is_ours(path, directory):
        raise CheckpointError(f"{path} is no file of this run: left alone")
    checkpoint = load(path, sha256)
    header = checkpoint.header
    if sha256 is None and header["format"] < CHECKSUMS:
        raise CheckpointError(f"{path} has no checksum: left alone")
    try:
        kept = header.get("unrecorded")
        stretch = None if kept is None else Stretch.from_json(kept)
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged header: {error}") from error
    size, step = path.stat().st_size, checkpoint.step
    ranking = from_header(header)
    best: list[int] = []
    if path.name.startswith("best"):
        steps = [each.step for each in ranking]
        best = steps if step in steps else [step]
    which = best_name(best.index(step)) if best else LATEST
    info = CheckpointInfo(path, checkpoint.sha256, size, step, which)
    known = sha256 is not None
    return Resumption(checkpoint, info, known, stretch, ranking, best)
