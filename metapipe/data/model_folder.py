"""Folders with a model that somebody else's library saved: known by their hash."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from ..errors import DataError
from ..whole_file import sha256_of

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
"""Weights in these files are pickled, and no pickle is read."""


@lru_cache(8)
def folder_digest(folder: str, sign: str, what: str) -> str:
    """SHA-256 of the names and contents of all files in a folder that has a file
    called `sign`, and so is `what`.

    Raises DataError, in a line, for another folder, and for one with pickled weights.
    """
    root = Path(folder)
    if not (root / sign).is_file():
        raise DataError(f"{folder} is no {what}: it has no {sign}")
    digest = hashlib.sha256()
    try:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if path.suffix.lower() in PICKLED:
                raise DataError(
                    f"{path} is pickled, which is not read: save the model with "
                    "safetensors, and remove this file"
                )
            digest.update(json.dumps(str(path.relative_to(root))).encode())
            digest.update(bytes.fromhex(sha256_of(path)))
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error}") from error
    return digest.hexdigest()
