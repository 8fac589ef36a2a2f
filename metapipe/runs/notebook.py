"""The commands about runs as functions: for a notebook, or a script.

They take the options of the commands by the same names, and stand in the same project.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import SettingError
from ..experiment.options import (
    EVALUATION,
    TRAINING,
    Pairs,
    Sections,
    from_options,
    from_settings,
)
from ..experiment.resolve import ARGUMENT
from ..store.records import EvaluationRow
from . import requests
from .pipeline import Outcome
from .progress import display
from .verification import Verification
from .workspace import AnyPath, Workspace


def train(
    *,
    settings: Mapping[str, Any] | None = None,
    from_run: int | str | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    observers: Iterable[object] = (),
    progress: bool = True,
    **options: Any,
) -> Outcome:
    """Meta-train, then evaluate on classes never seen: `metapipe train`.

    `options` are those of the command, such as `plugin="maml"`, `ways=5`, `lr=0.01`;
    `settings` are any others by dotted names, as `--set` takes them:
    `{"algorithm.inner_lr": 0.1}`. `project` is a folder or a config file, and
    `observers` are objects with hook implementations.

    Raises SettingError and UnknownNameError for what cannot be meant. An interruption
    ends the run with a checkpoint and the status `interrupted`.
    """
    asked = [*_options(options, TRAINING, train), *from_settings(settings)]
    with Workspace.at(project, db, plugin_paths) as workspace:
        return requests.train(
            workspace, asked, from_run, ARGUMENT, _watching(observers, progress)
        )


def resume(
    run: int | str = "latest",
    *,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    observers: Iterable[object] = (),
    progress: bool = True,
) -> Outcome:
    """Go on with a run that did not complete: `metapipe resume`.

    Raises UsageError for one that did, and NotFoundError if there is none.
    """
    with Workspace.at(project, db, plugin_paths) as workspace:
        return requests.resume(workspace, run, _watching(observers, progress))


def evaluate(
    run: int | str = "latest",
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    **options: Any,
) -> EvaluationRow:
    """Evaluate a run on episodes of unseen classes, and store it: `metapipe evaluate`.

    `options` are those of the command, such as `split="test"`, `episodes=1000`,
    `seed=7`; `settings` change those of the algorithm or of the data set for this
    evaluation: `{"algorithm.test_steps": 3}`.
    """
    asked = _options(options, EVALUATION, evaluate)
    changes = from_settings(settings)
    with Workspace.at(project, db, plugin_paths) as workspace:
        return requests.evaluate(workspace, run, asked, changes, dataset, ARGUMENT)


def verify(
    run: int | str = "latest",
    *,
    iterations: int | None = None,
    evaluation: bool = False,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> Verification:
    """Do a run again and see whether the same comes out, bit for bit: `metapipe runs
    verify`.

    All of it, or its first `iterations`, or its `evaluation` alone. Nothing is written.
    """
    with Workspace.at(project, db, plugin_paths) as workspace:
        return requests.verify(workspace, run, iterations, evaluation)


def _options(
    options: Mapping[str, Any], sections: Sections, function: Callable[..., Any]
) -> Pairs:
    """Options as settings; a slip may also be of one of the function's own names."""
    return from_options(options, sections, inspect.signature(function).parameters)


def _watching(observers: Iterable[object], progress: bool) -> list[object]:
    if not isinstance(observers, Iterable):
        raise SettingError(f"observers = {observers!r}: a list of them is wanted")
    return [*observers, display()] if progress else [*observers]
