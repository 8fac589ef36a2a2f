"""Runs in one file, to be carried to another store.

It is a zip. `metapipe.json` says what is in it, with the size and the SHA-256 of each
other member; `rows.jsonl` has the rows, one a line, as the name of the table and its
columns; `files/N/NAME` are the checkpoints of the run that is the N-th in the first.
All of it is data: nothing is executed, and no name in it becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import DataError
from ..whole_file import whole_file
from .run_files import CHECKPOINT

FORMAT = 1
CONTENTS, ROWS = "metapipe.json", "rows.jsonl"

MAX_CONTENTS = 64 * 2**20
"""Bytes of the list of contents."""

MAX_LINE = 16 * 2**20
"""Bytes of one row."""

MAX_GROWTH, MAX_ROWS = 200, 2**30
"""Rows of more bytes than MAX_ROWS are no more than so many times as large as they are
packed."""

BLOCK = 2**20

UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(RuntimeError, ValueError, LookupError, OverflowError, struct.error),
)
"""What reading a damaged zip raises, or one that was never any good."""

Row = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Member:
    """One member of the archive, as it has to be."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class PackedRun:
    """A run in the archive."""

    uid: str
    name: str | None
    files: Mapping[str, Member]
    """Its checkpoints, by their names."""


class Packer:
    """An archive that is being written: rows first, then files."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def rows(self, rows: Iterator[Row]) -> Member:
        """Write all rows."""
        info = zipfile.ZipInfo(ROWS)
        info.compress_type = zipfile.ZIP_DEFLATED
        with self.archive.open(info, "w", force_zip64=True) as target:
            return _copied(_lines(rows), target, ROWS)

    def file(self, number: int, name: str, source: BinaryIO) -> Member:
        """Write a checkpoint of the N-th run."""
        info = zipfile.ZipInfo(f"files/{number}/{name}")
        with self.archive.open(info, "w", force_zip64=True) as target:
            return _copied(_blocks(source), target, info.filename)

    def contents(self, runs: list[PackedRun], rows: Member, revision: str) -> None:
        """Write what is in it, which ends it."""
        text = {
            "format": FORMAT,
            "revision": revision,
            "rows": vars(rows),
            "runs": [
                {**vars(run), "files": {k: vars(v) for k, v in run.files.items()}}
                for run in runs
            ],
        }
        self.archive.writestr(CONTENTS, json.dumps(text, indent=1))


@contextmanager
def packing(path: Path) -> Iterator[Packer]:
    """A new archive, which is there whole in the end or not at all. Raises
    WriteError."""
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        yield Packer(archive)


class Unpacker:
    """An archive that is being read, all of whose members were compared with their
    checksums. Methods raise DataError, in one line."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        contents = self._contents()
        try:
            self.rows_member = Member(**contents["rows"])
            self.runs = [
                PackedRun(
                    run["uid"],
                    run["name"],
                    {name: Member(**member) for name, member in run["files"].items()},
                )
                for run in contents["runs"]
            ]
        except (TypeError, LookupError, AttributeError) as error:
            raise self._damaged(f"{CONTENTS} does not list what is in it") from error
        self._check()

    def rows(self) -> Generator[Row, None, None]:
        """All rows, in their order."""
        try:
            with self.archive.open(ROWS) as file:
                while line := file.readline(MAX_LINE + 1):
                    if len(line) > MAX_LINE:
                        raise self._damaged(f"a row has more than {MAX_LINE} bytes")
                    yield self._row(line)
        except UNREADABLE as error:
            raise self._damaged(error) from error

    def unpack(self, member: Member, target: Path) -> None:
        """Write a checkpoint to a new file. Raises WriteError too."""
        with self.archive.open(member.name) as source, whole_file(target) as file:
            shutil.copyfileobj(source, file, BLOCK)

    def _row(self, line: bytes) -> Row:
        row = json.loads(line)
        if not (
            isinstance(row, list)
            and len(row) == 2
            and isinstance(row[0], str)
            and isinstance(row[1], dict)
        ):
            raise self._damaged("a line is no row")
        return row[0], row[1]

    def _contents(self) -> dict[str, Any]:
        try:
            info = self.archive.getinfo(CONTENTS)
        except KeyError as error:
            raise DataError(
                f"{self.path} is no export of metapipe: {CONTENTS} is not in it"
            ) from error
        if info.file_size > MAX_CONTENTS:
            raise self._damaged(f"{CONTENTS} has {info.file_size} bytes")
        try:
            with self.archive.open(CONTENTS) as file:
                contents = json.loads(file.read(MAX_CONTENTS))
        except (*UNREADABLE, RecursionError) as error:
            raise self._damaged(error) from error
        version = contents.get("format") if isinstance(contents, dict) else None
        if type(version) is not int:
            raise self._damaged(f"{CONTENTS} tells no format")
        if version != FORMAT:
            newer = ", which a newer metapipe wrote" if version > FORMAT else ""
            raise DataError(
                f"{self.path} has format {version}{newer}: this one reads {FORMAT}"
            )
        return dict(contents)

    def _check(self) -> None:
        """Compare all members with what is said of them."""
        members = [(self.rows_member, ROWS)]
        for number, run in enumerate(self.runs):
            if not isinstance(run.uid, str) or not isinstance(run.name, str | None):
                raise self._damaged(f"run {number} has no proper name")
            for name, member in run.files.items():
                if not CHECKPOINT.fullmatch(name):
                    raise self._damaged(f"'{name}' is the name of no checkpoint")
                members.append((member, f"files/{number}/{name}"))
        if len({run.uid for run in self.runs}) < len(self.runs):
            raise self._damaged("a run is in it twice")
        for member, name in members:
            self._check_member(member, name)

    def _check_member(self, member: Member, name: str) -> None:
        try:
            info = self.archive.getinfo(name)
            if member.name != name or info.file_size != member.bytes:
                raise self._damaged(f"{name} has not the size that it says")
            stored = info.compress_type == zipfile.ZIP_STORED
            grown = info.file_size > MAX_ROWS + MAX_GROWTH * info.compress_size
            if grown or (name != ROWS and not stored):
                raise self._damaged(f"{name} would grow without measure")
            with self.archive.open(info) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it has readinto
        except UNREADABLE as error:
            raise self._damaged(error) from error
        if found != member.sha256:
            raise self._damaged(f"the content of {name} is not that of its checksum")

    def _damaged(self, why: object) -> DataError:
        return DataError(f"{self.path} is damaged: {' '.join(str(why).split())}")


@contextmanager
def unpacking(path: Path) -> Iterator[Unpacker]:
    """An archive, checked. Raises DataError for what is none, or damaged."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UNREADABLE as error:
        raise DataError(
            f"{path} is no export of metapipe, or damaged: {error}"
        ) from error
    with archive:
        yield Unpacker(path, archive)


def _lines(rows: Iterator[Row]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _copied(blocks: Iterator[bytes], target: IO[bytes], name: str) -> Member:
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        target.write(block)
        digest.update(block)
        size += len(block)
    return Member(name, size, digest.hexdigest())
