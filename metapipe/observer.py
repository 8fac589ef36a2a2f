"""What an observer plugin is: it tells somebody else of a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from .plugin import Plugin


class Observer(Plugin):
    """Tells somebody else of a run: a tracker, a log, a lamp.

    It is told of the runs that name it in `run.observers`, and of no others. Its
    settings are kept with the run, so a password is never one of them. A run that is
    resumed has the observers it began with.
    """

    install: ClassVar[str] = ""
    """The command that brings what it needs; empty if nothing is needed."""

    @abstractmethod
    def listener(self) -> object:
        """What is told of one run, of which `run_started` brings the facts: an object
        with methods that `metapipe.hookimpl` marks.

        One that raises is told of the end of the run, and of nothing else any more.
        """

    def check(self) -> None:
        """Raises DataError, in one line, if it could not listen here: what it needs is
        not installed, or nobody is logged in. It is asked before a run is entered."""
