"""What is fuzzed: how inputs are made, what reads them, and what may come of that."""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from metapipe import MetapipeError

SLOWEST = 5.0
"""Seconds that an input may take."""

LARGEST = 2**30
"""Bytes by which an input may raise the most that the process has held."""

LONGEST = 1000
"""Characters of a message."""


class Fault(AssertionError):  # noqa: N818  # that there is an error, or none
    """What must not come of any input."""


@dataclass(frozen=True)
class Target:
    """Inputs of one kind. An input is a function of a seed."""

    name: str
    make: Callable[[Random], Any]
    read: Callable[[Any, Path], Any]
    """Reads an input, with a folder to write it into. Raises MetapipeError."""

    def try_one(self, seed: int, folder: Path) -> str:
        """Read the input of a seed: "read", or the kind of error that refused it.

        Raises Fault for anything else, for a message of several lines, and for what
        took too long or too much.
        """
        with warnings.catch_warnings(action="ignore"):  # of what writes odd files
            made = self.make(Random(f"{self.name} {seed}"))
        held, began = peak(), time.process_time()
        try:
            with warnings.catch_warnings(action="error"):  # they would be printed
                self.read(made, folder)
            ended = "read"
        except MetapipeError as error:
            ended = f"{type(error).__name__} ({error.exit_code})"
            _require_a_line(str(error))
        except Exception as error:
            raise Fault(f"{type(error).__name__}: {error} of {_shown(made)}") from error
        took, grew = time.process_time() - began, peak() - held
        if took > SLOWEST:
            raise Fault(f"{took:.1f} s for {_shown(made)}")
        if grew > LARGEST:
            raise Fault(f"{grew >> 20} MiB for {_shown(made)}")
        return ended


def peak() -> int:
    """The most bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _require_a_line(message: str) -> None:
    if not message.strip() or "\n" in message or len(message) > LONGEST:
        raise Fault(f"a message of {len(message)} characters: {message[:300]!r}")


def _shown(made: Any) -> str:
    try:
        text = repr(made)
    except RecursionError:
        return "what is too deep to show"
    return text if len(text) < 600 else f"{text[:600]}... ({len(text)} characters)"
