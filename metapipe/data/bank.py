"""A bank: a data set decoded once into one array of bytes, cached and memory-mapped.

The cache folder is the platform's own (`METAPIPE_CACHE` replaces it). An entry is keyed
by what it was made from, is written aside and renamed, and is rebuilt if damaged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ..cache import cache_dir
from ..errors import DataError, WriteError
from ..whole_file import sync_folder, whole_file
from .file import File, NoFile
from .folder_entries import folder_entries

Bytes = NDArray[np.uint8]
Build = Callable[[], Iterable[tuple[str, Bytes]]]
"""Yields a class name with its items: (n, H, W), or (n, H, W, C)."""

VERSION = 2
"""Of what banks are made of and how: another one makes all of them anew."""

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Bank:
    """Items of classes, one class after the other."""

    items: Bytes
    """(n, H, W), or (n, H, W, C)."""

    classes: tuple[str, ...]
    """Names, in the order of their items."""

    starts: NDArray[np.int64]
    """(classes + 1,): class c has the items starts[c] to starts[c + 1]."""

    fingerprint: str
    """SHA-256 of items, names and starts."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(classes,): number of items of each class."""
        return np.diff(self.starts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one item as torch has it: (channels, height, width)."""
        height, width, *channels = self.items.shape[1:]
        return (channels[0] if channels else 1, height, width)


def identity(path: Path) -> list[Any]:
    """What a cached bank must agree on about the file or folder it was made from: also
    what links lead to. Raises DataError if it cannot be read."""
    try:
        facts = [_state(path, os.stat(path))]
        if path.is_dir():
            facts += [_fact(path, entry) for entry in folder_entries(path)]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return [str(path.resolve()), hashlib.sha256(repr(facts).encode()).hexdigest()]


def _fact(root: Path, entry: File | NoFile) -> tuple[object, ...]:
    path = root.joinpath(*entry.parts)
    try:
        return _state(path, os.stat(path))
    except OSError as error:
        return (str(path), error.errno)


def _state(path: Path, state: os.stat_result) -> tuple[object, ...]:
    """The time of change is of the file's records: copying can set the other back."""
    times = (state.st_mtime_ns, state.st_ctime_ns)
    return (str(path), state.st_size, *(times if stat.S_ISREG(state.st_mode) else ()))


def open_bank(name: str, made_from: Any, build: Build) -> Bank:
    """The bank called `name` made from `made_from` (JSON-able), built if not cached.

    Whatever changes what `build` yields has to be in `made_from`.
    """
    key = json.dumps([VERSION, made_from], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    entry = cache_dir() / "banks" / f"{name}-{digest}"
    bank = _load(entry)
    if bank is None:
        logger.info("building the %s bank, once", name)
        _write(entry, build)
        bank = _load(entry)
    if bank is None:
        raise DataError(f"the bank at {entry} cannot be read back: check the disk")
    return bank


def _load(entry: Path) -> Bank | None:
    """The cached bank; None if it is not there or not whole."""
    try:
        facts = json.loads((entry / "bank.json").read_text(encoding="utf-8"))
        items = open_memmap(entry / "items.npy", mode="r")  # never unpickles
        bank = Bank(
            items,
            tuple(facts["classes"]),
            np.array(facts["starts"], np.int64),
            facts["fingerprint"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = (
        items.dtype == np.uint8
        and bank.starts.shape == (len(bank.classes) + 1,)
        and bank.starts[-1] == len(items)
    )
    return bank if whole else None


def _write(entry: Path, build: Build) -> None:
    """Build aside and rename; whoever comes second throws its own away."""
    parts = list(build())
    if not parts:
        raise DataError(f"no classes were found to build {entry.name} from")
    classes = [name for name, _ in parts]
    items = np.ascontiguousarray(np.concatenate([part for _, part in parts]))
    starts = np.cumsum([0] + [len(part) for _, part in parts]).tolist()
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
        try:
            with whole_file(aside / "items.npy") as file:
                np.save(file, items, allow_pickle=False)
            facts = {
                "classes": classes,
                "starts": starts,
                "fingerprint": _fingerprint(items, classes, starts),
            }
            with whole_file(aside / "bank.json") as file:
                file.write(json.dumps(facts).encode())
            _replace(aside, entry)
            sync_folder(entry.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except (OSError, WriteError) as error:
        reason = getattr(error, "strerror", None) or str(error.__cause__)
        raise DataError(
            f"cannot write the cache at {entry.parent}: {reason}; set METAPIPE_CACHE "
            "to a folder that can be written"
        ) from error


def _replace(aside: Path, entry: Path) -> None:
    """Rename over `entry`, unless a whole bank was put there meanwhile."""
    if entry.exists():
        if _load(entry) is not None:
            return
        shutil.rmtree(entry, ignore_errors=True)
    try:
        aside.rename(entry)
    except OSError:
        if _load(entry) is None:
            raise


def _fingerprint(items: Bytes, classes: list[str], starts: list[int]) -> str:
    digest = hashlib.sha256(json.dumps([classes, starts, items.shape]).encode())
    digest.update(items.data)
    return digest.hexdigest()
