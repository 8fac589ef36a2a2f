"""The streams of a command: any text can be written, and a closed pipe is no fault."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

from ..printable import printable

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of Python itself from 3.12 on


class ReaderGoneError(Exception):
    """Nobody reads what a command prints on stdout."""


def prepare() -> None:
    """Make stdout and stderr take any text, whatever the language of the terminal.

    Where the reader of a pipe is gone, stdout raises ReaderGoneError, and stderr goes
    on: who had enough of the progress of a training did not end it.
    """
    sys.stdout = _stream(sys.stdout, _Output)
    sys.stderr = _stream(sys.stderr, _Messages)


def log_to_stderr() -> None:
    """Print what metapipe has to tell, a line each."""
    logger = logging.getLogger("metapipe")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Line("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def begin() -> None:
    """What a process does first that is started for a command."""
    prepare()
    log_to_stderr()


def leave_stdout() -> None:
    """Write nothing more to stdout, not even what Python writes at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stream(stream: TextIO, raw: type[io.FileIO]) -> TextIO:
    """The same stream by way of `raw`; one that is no file stays as it is."""
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw(number, "wb", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or raw is _Messages,
    )


class _Output(io.FileIO):
    """Ends a command whose reader is gone."""

    def write(self, data: Buffer, /) -> int:
        """How many bytes were written. Raises ReaderGoneError."""
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGoneError from error


class _Messages(io.FileIO):
    """Goes on without a reader."""

    def write(self, data: Buffer, /) -> int:
        """How many bytes were written, or would have been."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


class _Line(logging.Formatter):
    """One line that acts on no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, made fit to be printed."""
        return printable(super().format(record))
