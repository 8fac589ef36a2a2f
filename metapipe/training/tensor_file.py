"""The one file format: tensors in safetensors, with a JSON header and a checksum.

The file's metadata has two entries. `metapipe` is JSON: `format`, `which` of the two it
is, and what that tells of itself. `sha256` is the SHA-256 of the whole file with these
64 characters set to zeros, so that a changed byte is noticed wherever it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..episode import Params
from ..errors import CheckpointError
from ..whole_file import whole_file

FORMAT = 2
"""Written. Format 1, which had no checksum, is read too."""

OLD_ADAPTED = "metapipe-adapted"
"""The name that the header of an adapted model of format 1 had."""

Which = Literal["checkpoint", "adapted"]

WHICH = {"checkpoint": "a checkpoint of a run", "adapted": "an adapted model"}

MAKE = "make one with metapipe adapt RUN --support DIR --out FILE"
"""What to do without an adapted model."""

ZEROS = b"0" * 64
CHECKSUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
"""In the raw bytes; inside the JSON of `metapipe` quotes are escaped."""

BLOCK = 2**20
"""Bytes hashed at a time."""


LARGEST_HEAD = 2**24
"""Bytes of a header: as objects it takes some twenty times as much memory, which the
length of the rest does not bound."""

MOST_TENSORS = 2**16
"""Of a file that is read."""


@dataclass(frozen=True)
class TensorFile:
    """What was read from a file that is whole."""

    path: Path
    header: Mapping[str, Any]
    """`format`, `which`, and what was given to `write_tensors`."""

    tensors: Mapping[str, Tensor]
    """By GROUP/NAME; they may lie in the file itself."""

    def group(self, name: str, device: str) -> Params:
        """The tensors of a group, by the names they have in it, on a device.

        Copied, since a tensor in a file lies at any address: where torch's own begin at
        multiples of 64 bytes, a matrix product can round otherwise.
        """
        return {
            path.removeprefix(f"{name}/"): tensor.to(device, copy=True)
            for path, tensor in self.tensors.items()
            if path.startswith(f"{name}/")
        }


def write_tensors(
    path: Path, which: Which, tensors: Mapping[str, Tensor], header: Mapping[str, Any]
) -> str:
    """Write a whole file or none; returns the SHA-256 of the file as it is.

    `header` is JSON-able. Raises WriteError if it cannot be written.
    """
    text = json.dumps({"format": FORMAT, "which": which, **header})
    content = save(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        {"metapipe": text, "sha256": ZEROS.decode()},
    )
    head, data = _in_order(content)
    if len(head) > LARGEST_HEAD:
        raise CheckpointError(
            f"cannot write {path}: what it tells of itself (classes, a vocabulary, "
            f"categories) takes {len(head)} bytes, and {LARGEST_HEAD} are read"
        )
    checksum = _sha256(head, data).encode()
    head = head.replace(b'"sha256":"' + ZEROS, b'"sha256":"' + checksum)
    with whole_file(path) as file:
        file.write(head)
        file.write(data)
    return _sha256(head, data)


def read_tensors(path: Path, which: Which | None = None) -> TensorFile:
    """Read what `write_tensors` wrote, or the metapipe before it; either of the two
    unless told which.

    Raises CheckpointError, in a line, for a file that is missing, damaged or foreign,
    of a newer format, or the other of the two.
    """
    checked = _has_true_checksum(path, which)
    metadata, tensors = open_tensors(path)
    header = _header(path, metadata, checked)
    if which is None and header["which"] in WHICH:
        return TensorFile(path, header, tensors)
    if header["which"] != which:
        found = WHICH.get(str(header["which"]), "something else")
        remedy = f": {MAKE}" if which == "adapted" else ""
        raise CheckpointError(f"{path} is {found}, not {_name(which)}{remedy}")
    return TensorFile(path, header, tensors)


def open_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of any safetensors file, as they are. Raises CheckpointError
    if it is none."""
    try:
        with path.open("rb") as raw:
            _require_small(path, int.from_bytes(raw.read(8), "little"))
        with safe_open(path, framework="pt") as file:
            if len(file.keys()) > MOST_TENSORS:
                raise CheckpointError(f"{path} has more than {MOST_TENSORS} tensors")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError, LookupError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]  # not the stack of C++ below it
        raise CheckpointError(
            f"{path} is damaged, or no file of tensors: {reason:.200}"
        ) from error


def is_ours(metadata: Mapping[str, str]) -> bool:
    """Whether metapipe wrote a file with that metadata."""
    return "metapipe" in metadata or OLD_ADAPTED in metadata


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of each tensor, by its name."""
    return {name: tensor.shape for name, tensor in tensors.items()}


def _in_order(content: bytes) -> tuple[bytes, memoryview]:
    """A safetensors file as its head and its data, with the metadata in order: the
    library writes them in any, and equal tensors make equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(
        json.loads(content[8:end]), sort_keys=True, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)  # so that the data are aligned
    return len(header).to_bytes(8, "little") + header, memoryview(content)[end:]


def _sha256(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _name(which: Which | None) -> str:
    return "a file of metapipe" if which is None else WHICH[which]


def _has_true_checksum(path: Path, which: Which | None) -> bool:
    """False if there is none; raises CheckpointError if there is another."""
    try:
        with path.open("rb") as file:
            head = _head(path, file)
            found = CHECKSUM.search(head)
            if found is None:
                return False
            digest = hashlib.sha256(
                head[: found.start(1)] + ZEROS + head[found.end(1) :]
            )
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        name = _name(which).removeprefix("a ").removeprefix("an ")
        remedy = f"; {MAKE}" if which == "adapted" else ""
        text = f"no {name} at {path}: {error.strerror}{remedy}"
        raise CheckpointError(text) from error
    if digest.hexdigest().encode() != found[1]:
        raise CheckpointError(
            f"{path} is damaged: its content is not that of its checksum"
        )
    return True


def _require_small(path: Path, length: int) -> None:
    """Raise CheckpointError for a header that is longer than any of ours."""
    if length > LARGEST_HEAD:
        raise CheckpointError(
            f"{path} is damaged, or no file of tensors: its header would have {length} "
            f"bytes, and {LARGEST_HEAD} are read (what was exported is not read again: "
            "give the file that it was exported from)"
        )


def _head(path: Path, file: BinaryIO) -> bytes:
    """The length of the header, and the header; no more memory than the file has bytes,
    whatever length it claims."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    _require_small(path, length)
    left = os.fstat(file.fileno()).st_size - len(start)
    return start + file.read(min(length, left))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError for a name that it has twice: readers differ
    in which they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _header(
    path: Path, metadata: Mapping[str, str], checked: bool
) -> Mapping[str, Any]:
    """The JSON in the metadata, with `format` and `which`."""
    if not is_ours(metadata):
        raise CheckpointError(f"{path} is a foreign file: metapipe did not write it")
    old = OLD_ADAPTED in metadata
    try:
        text = metadata[OLD_ADAPTED if old else "metapipe"]
        header = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged: its header is no sound JSON"
        ) from error
    version = header.get("format") if isinstance(header, dict) else None
    if type(version) is not int:
        raise CheckpointError(f"{path} is damaged: its header tells no format")
    if version == 1 and not checked:
        return {**header, "which": "adapted" if old else "checkpoint"}
    if version == FORMAT and "which" in header:
        if not checked:
            raise CheckpointError(f"{path} is damaged: it has lost its checksum")
        return {**header}
    newer = ", which a newer metapipe wrote" if version > FORMAT else ""
    raise CheckpointError(
        f"{path} has format {version!s:.20}{newer}: this one reads 1 and {FORMAT}"
    )
