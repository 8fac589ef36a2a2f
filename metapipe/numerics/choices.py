"""What was chosen here before, for the same work, such as a task map: a measurement is
never the same twice, and the choice decides how sums are rounded.

One small JSON file a kind of work, in the cache folder: made aside and put in place
only where there is none, so that of two who choose at once both take the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..cache import cache_dir

LARGEST = 2**16
"""Bytes of a file that is read; ours have a thousand."""

Choice = TypeVar("Choice")

logger = logging.getLogger("metapipe")


def remembered(
    work: Mapping[str, Any],
    choices: Sequence[Choice],
    choose: Callable[[], Choice],
    able: Callable[[Choice], bool] = lambda choice: True,
) -> Choice:
    """The one of `choices` that was chosen for this `work`; if none was, what `choose`
    says, which is kept. So it is where that one is no longer `able`: a plugin may have
    changed.

    `work` is JSON-able: all that decides which is fastest, the machine included;
    choices are kept by their `str`.
    Where it cannot be kept, that is told. A file that is damaged, or of other work, is
    told of and made anew.
    """
    work = json.loads(json.dumps(work))
    path = _place(work)
    if (known := _read(path, work, choices, able)) is not None:
        return known
    chosen = choose()
    try:
        _put(path, json.dumps({"work": work, "chosen": str(chosen)}))
    except OSError as error:
        logger.warning(
            "cannot keep what was chosen in %s: %s; the next training may choose "
            "another",
            path.parent,
            error.strerror,
        )
    return _read(path, work, choices, able) or chosen


def _place(work: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
    return cache_dir() / "choices" / f"{digest[:16]}.json"


def _read(
    path: Path,
    work: Mapping[str, Any],
    choices: Sequence[Choice],
    able: Callable[[Choice], bool],
) -> Choice | None:
    """What was chosen; None, and no file, if it is not there or not to be used."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(LARGEST))
        if found["work"] != work:
            raise ValueError("it is of other work")
        chosen = {str(each): each for each in choices}[found["chosen"]]
        if not able(chosen):
            raise ValueError(f"{chosen} is none that can be used")
    except OSError:
        return None
    except (ValueError, LookupError, TypeError, RecursionError):
        logger.warning(
            "%s is damaged, or of other work than now: it is made anew", path
        )
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return chosen


def _put(path: Path, text: str) -> None:
    """Aside, then linked to its name: whoever comes second leaves the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        aside = Path(folder, path.name)
        aside.write_text(text, encoding="utf-8")
        try:
            os.link(aside, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                aside.replace(path)
