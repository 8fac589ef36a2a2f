"""A request done by this process, or by several that are started for it: the same for
the commands and for Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..store.records import EvaluationRow
from . import requests
from .gauge import counting
from .launch import together
from .outcome import Outcome
from .progress import display
from .workspace import Workspace

Where = tuple[Path, str, tuple[Path, ...]]
"""A workspace, for another process to open."""


def nothing() -> None:
    """What a new process does first, if nobody says otherwise."""


def trained(
    count: int,
    workspace: Workspace,
    name: str,
    *arguments: Any,
    shown: bool = True,
    observers: Sequence[object] = (),
    begin: Callable[[], None] = nothing,
) -> Outcome:
    """What `requests.train` or `resume` comes to, by so many processes; progress is
    shown on stderr. Each new one does `begin` first, a function of a module.

    Raises SettingError for objects as `observers`, which are in this process, of
    several: they would hear nothing.
    """
    asked = (name, shown, arguments)
    if count == 1:
        return _trained(workspace, *asked, observers)
    if observers:
        raise SettingError(
            f"observers = {observers[0]!r:.80}: an object hears nothing of {count} "
            "other processes; name an observer plugin, or take processes=1"
        )
    restarts = workspace.project.processes.restarts
    advice = "go on with metapipe resume latest"
    here = begin, _place(workspace), _trained, asked
    outcome: Outcome = together(count, restarts, advice, _apart, *here)
    return outcome


def evaluated(
    count: int,
    workspace: Workspace,
    *arguments: Any,
    shown: bool = True,
    begin: Callable[[], None] = nothing,
) -> EvaluationRow:
    """What `requests.evaluate` comes to, alike."""
    asked = (shown, arguments)
    if count == 1:
        return _evaluated(workspace, *asked)
    advice = "nothing was kept of this evaluation, begin it again"
    here = begin, _place(workspace), _evaluated, asked
    row: EvaluationRow = together(count, 0, advice, _apart, *here)
    return row


def _trained(
    workspace: Workspace,
    name: str,
    shown: bool,
    arguments: tuple[Any, ...],
    observers: Sequence[object] = (),
) -> Outcome:
    watching = [*observers, display()] if shown else observers
    outcome: Outcome = getattr(requests, name)(
        workspace, *arguments, observers=watching
    )
    return outcome


def _evaluated(
    workspace: Workspace, shown: bool, arguments: tuple[Any, ...]
) -> EvaluationRow:
    with counting(shown) as advanced:
        return requests.evaluate(workspace, *arguments, advanced=advanced)


def _place(workspace: Workspace) -> Where:
    project = workspace.project
    place = project.file or project.directory
    return place, workspace.url, workspace.plugin_files


def _apart(
    begin: Callable[[], None],
    where: Where,
    work: Callable[..., Any],
    asked: tuple[Any, ...],
) -> Any:
    """The same, in a process of its own."""
    begin()
    with Workspace(*where) as workspace:
        return work(workspace, *asked)
