"""Runs carried from one store to another, with all that belongs to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError, DataError, UnreachableError, UsageError
from ..store import StoreReader, TaskStore
from ..store.liveness import now
from ..store.records import CheckpointRow, RunRow
from ..store.schema import REVISION
from ..store.transfer import uid
from .archive import Member, PackedRun, Packer, Row, Unpacker, packing, unpacking
from .run_files import is_ours, new_directory, require_there

WITHOUT = "exported without files"
"""What is remembered of a checkpoint that was left behind."""

ALONE = "--without-files exports the rows alone"


@dataclass(frozen=True)
class Carried:
    """What was exported, or imported."""

    path: Path
    runs: dict[str, int]
    """Ids by uid, which a run has in any store."""

    files: int
    bytes: int
    skipped: dict[str, int]
    """Runs that were there already, with their ids."""


def export_runs(
    store: StoreReader,
    refs: Sequence[str | int],
    path: Path,
    *,
    with_files: bool = True,
    force: bool = False,
) -> Carried:
    """Write runs, with their checkpoints unless without files, into one file.

    Raises UsageError for a run that is running, and if there is such a file, unless by
    `force`; NotFoundError; WriteError; CheckpointError for a checkpoint that is missing
    or damaged.
    """
    store.require_place(path, "export", force=force)
    rows = {row.id: row for row in map(store.run, refs)}
    for row in rows.values():
        if row.status == "running":
            raise UsageError(f"run {row.id} is running: export it when it has ended")
    chosen = [rows[run_id] for run_id in sorted(rows)]
    with packing(path) as packer:
        files = [store.checkpoints(row.id) if with_files else [] for row in chosen]
        with store.departing([row.id for row in chosen]) as departing:
            packed = packer.rows(departing if with_files else _fileless(departing))
        runs = [
            PackedRun(
                uid(row.created, row.config),
                row.name,
                {
                    each.name: _packed(packer, number, each, sha256)
                    for each, sha256 in _paths(row, checkpoints).items()
                },
            )
            for number, (row, checkpoints) in enumerate(zip(chosen, files, strict=True))
        ]
        packer.contents(runs, packed, REVISION)
    ids = {run.uid: row.id for run, row in zip(runs, chosen, strict=True)}
    count = sum(len(run.files) for run in runs)
    return Carried(path, ids, count, path.stat().st_size, {})


def import_runs(
    opened: Callable[[], TaskStore],
    path: Path,
    project: Path,
    *,
    skip_known: bool = False,
) -> Carried:
    """Read runs from a file into a store, all or none; their files into directories of
    the project. The store is `opened`, and so perhaps made, when the file is known to
    be an export.

    They get ids of this store. Raises UsageError if one of them is there already,
    unless those are to be skipped; DataError for a file that is damaged or none;
    WriteError, StoreError.
    """
    with unpacking(path) as archive:
        store = opened()
        known = _known(store, archive)
        if known and not skip_known:
            run_id = next(iter(known.values()))
            raise UsageError(
                f"{path} has run {run_id} of this store in it: nothing was imported; "
                "--skip-known imports the others"
            )
        new = [run.uid for run in archive.runs if run.uid not in known]
        directories = {uid: new_directory(project) for uid in new}
        try:
            count = _unpack(archive, directories)
            ids = store.receive(
                lambda: _agreeing(archive), directories, skip=known.keys()
            )
        except DataError as error:
            _clear(directories)
            at = "" if str(path) in str(error) else f"{path}: "
            raise DataError(f"{at}{error}") from error
        except UnreachableError:  # the rows may be there all the same
            raise
        except BaseException:
            _clear(directories)
            raise
    return Carried(path, ids, count, path.stat().st_size, known)


def _known(store: StoreReader, archive: Unpacker) -> dict[str, int]:
    """Runs of an archive that a store has already."""
    try:
        found = {run.uid: store.id_of(run.uid) for run in archive.runs}
    except ValueError as error:
        raise DataError(f"{archive.path} is damaged: {error}") from error
    return {name: run_id for name, run_id in found.items() if run_id is not None}


def _paths(row: RunRow, checkpoints: Sequence[CheckpointRow]) -> dict[Path, str]:
    """The checkpoints of a run, which are there, with their checksums."""
    paths = {Path(each.path): each.sha256 for each in checkpoints}
    for path in paths:
        if not is_ours(path, Path(row.directory)):
            raise CheckpointError(f"{path} is no file of run {row.id}: {ALONE}")
        try:
            require_there(path, row)
        except CheckpointError as error:
            raise CheckpointError(f"{error}; {ALONE}") from error
    return paths


def _packed(packer: Packer, number: int, path: Path, sha256: str) -> Member:
    try:
        source = path.open("rb")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    with source:
        member = packer.file(number, path.name, source)
    if member.sha256 != sha256:
        raise CheckpointError(
            f"{path} is damaged: its content is not that of its checksum; {ALONE}"
        )
    return member


def _fileless(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows whose checkpoints stay behind, which is remembered."""
    for table, row in rows:
        if table != "checkpoints":
            yield table, row
            continue
        yield (
            "prunings",
            {
                "id": 0,
                "run_id": row["run_id"],
                "evaluation_id": None,
                "what": row["which"],
                "created": now().isoformat(),
                "count": 1,
                "bytes": row["bytes"],
                "rule": WITHOUT,
            },
        )


def _unpack(archive: Unpacker, directories: Mapping[str, Path]) -> int:
    """Write the files of those runs; returns how many."""
    count = 0
    for run in archive.runs:
        for name, member in run.files.items() if run.uid in directories else ():
            archive.unpack(member, directories[run.uid] / name)
            count += 1
    return count


def _agreeing(archive: Unpacker) -> Generator[Row, None, None]:
    """The rows, as far as they agree with the files: each checkpoint has its own."""
    runs, current, missing = iter(archive.runs), None, set[str]()
    with closing(archive.rows()) as rows:
        for table, row in rows:
            if table == "runs":
                _require_all(archive, missing)
                current = next(runs, None)
                missing = set(current.files) if current else set()
            if table == "checkpoints":
                name = row.get("path")
                member = current.files.get(str(name)) if current else None
                if member is None or member.sha256 != row.get("sha256"):
                    raise DataError(f"{archive.path} is damaged: no file is {name}")
                missing.discard(member.name.rpartition("/")[2])
            yield table, row
    _require_all(archive, missing)


def _require_all(archive: Unpacker, missing: set[str]) -> None:
    if missing:
        name = min(missing)
        raise DataError(f"{archive.path} is damaged: no row names {name}")


def _clear(directories: Mapping[str, Path]) -> None:
    """Remove what was unpacked for nothing."""
    for directory in directories.values():
        with suppress(OSError):
            shutil.rmtree(directory)
