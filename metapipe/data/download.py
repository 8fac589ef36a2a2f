"""Downloads: once, checked, and continued where they broke off.

pooch keeps the cache and checks the hashes; what it lacks, resuming, is added here by
HTTP range requests into a `.part` file that outlives the process.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ..cache import cache_dir
from ..errors import DataError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds without an answer before giving up."""

logger = logging.getLogger("metapipe")


_FETCHING: ContextVar[bool] = ContextVar("fetching", default=True)


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """What is not in the cache is not downloaded meanwhile, in this thread."""
    token = _FETCHING.set(False)
    try:
        yield
    finally:
        _FETCHING.reset(token)


@dataclass(frozen=True)
class Resuming:
    """A pooch downloader that goes on where the last attempt ended."""

    part: Path
    """Where the bytes so far are kept."""

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Fetch what is missing, then hand the whole file over to pooch."""
        import requests  # here, as most commands download nothing

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as reply:
            if reply.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                reply.raise_for_status()
                self._append(reply, have)
        shutil.copyfile(self.part, output_file)

    def _append(self, reply: requests.Response, have: int) -> None:
        continues = reply.status_code == HTTPStatus.PARTIAL_CONTENT
        if have and continues:
            logger.info("continuing the download at byte %s", f"{have:,}")
        with self.part.open("ab" if continues else "wb") as file:
            for chunk in reply.iter_content(CHUNK):
                file.write(chunk)


def download(url: str, checksum: str, folder: str, instead: str) -> Path:
    """The file at `url`, from the cache's `folder` if it is there already.

    `checksum` is `algorithm:hex`, as pooch takes it. `instead` tells the user, in the
    error, what to do without a network. Raises DataError, also where it is not there
    and nothing is to be fetched.
    """
    import pooch
    import requests

    path = cache_dir() / folder
    name = url.rsplit("/", 1)[-1]
    if not (_FETCHING.get() or (path / name).exists()):
        raise DataError(
            f"{name} has to be downloaded first, which looking does not: train with it "
            f"once. {instead}"
        )
    part = path / f"{name}.part"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / f"{name}.lock"):  # two runs would write one `.part`
            found = pooch.retrieve(
                url, checksum, fname=name, path=path, downloader=Resuming(part)
            )
    except (requests.RequestException, OSError) as error:
        reply = getattr(error, "response", None)
        reason = (
            f"status {reply.status_code}" if reply is not None else type(error).__name__
        )
        raise DataError(
            f"cannot download {url} ({reason}); bytes already here are kept. {instead}"
        ) from error
    except ValueError as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{url} is not the expected file: its checksum differs. {instead}"
        ) from error
    part.unlink(missing_ok=True)
    return Path(found)


def download_all(files: Mapping[str, str], folder: str, instead: str) -> list[Path]:
    """`download` for each url of url -> checksum, in order."""
    return [download(url, checksum, folder, instead) for url, checksum in files.items()]
