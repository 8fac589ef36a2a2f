"""The commands about runs as functions: for a notebook, or a script.

They take the options of the commands by the same names, and stand in the same project.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..experiment.given import ARGUMENT
from ..experiment.options import (
    EVALUATION,
    TRAINING,
    Pairs,
    Sections,
    from_options,
    from_settings,
    hinting,
)
from ..experiment.sweep_settings import taken_from
from ..store.records import EvaluationRow
from . import comparison, requests
from .comparison import Comparison
from .confusion import Confusion
from .confusion import confusion as confused
from .outcome import Outcome
from .processes import evaluated, trained
from .progress import display
from .removal import Removal, remove_runs
from .replay import Replay
from .replay import replay as replayed
from .sharing import Processes, shared, shared_again, shared_evaluation
from .sweep import search
from .sweep_report import SweepReport
from .verification import Verification
from .watching import named_and_handed, only_handed
from .workspace import AnyPath, Workspace

if TYPE_CHECKING:
    from .pictures import Axis


def train(
    *,
    settings: Mapping[str, Any] | None = None,
    from_run: int | str | None = None,
    tags: Sequence[str] | str = (),
    note: str | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    observers: Iterable[object] | str = (),
    processes: Processes | None = None,
    progress: bool = True,
    **options: Any,
) -> Outcome:
    """Meta-train, then evaluate on classes never seen: `metapipe train`.

    `options` are those of the command, such as `plugin="maml"`, `ways=5`, `lr=0.01`;
    `settings` are any others by dotted names, as `--set` takes them:
    `{"algorithm.inner_lr": 0.1}`. `project` is a folder or a config file, and
    `observers` are names of observer plugins, which are kept with the run, and objects
    with hook implementations. `processes`, a number or "auto", are started to share
    each meta-batch: objects as observers hear nothing of them.

    Raises SettingError and UnknownNameError for what cannot be meant. An interruption
    ends the run with a checkpoint and the status `interrupted`.
    """
    names, watching = named_and_handed(observers)
    asked = [*_options(options | names, TRAINING, train), *from_settings(settings)]
    labels = (tags,) if isinstance(tags, str) else tuple(tags)
    with Workspace.at(project, db, plugin_paths) as workspace:
        count, asked = shared(workspace, processes, asked, from_run, ARGUMENT)
        what = (asked, from_run, labels, note, ARGUMENT)
        return trained(
            count, workspace, "train", *what, shown=progress, observers=watching
        )


def sweep(
    name: str,
    space: Mapping[str, Any] | None = None,
    *,
    trials: int | None = None,
    metric: str | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    sweep_seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    progress: bool = True,
    **options: Any,
) -> SweepReport:
    """Search over settings, by validation, until there are so many trials: `metapipe
    sweep`.

    `space` says what to try, by dotted names: `{"training.lr": {"low": 1e-4, "high":
    0.1, "log": True}, "task.tasks": [4, 8]}`, beside what metapipe.toml says under
    [sweep]; `options` and `settings` are those of `train`. Other processes may work at
    the same search. Raises SettingError for what cannot be searched, and UsageError if
    a search of that name was begun with other settings, or without Optuna.
    """
    asked = [*_options(options, TRAINING, sweep), *from_settings(settings)]
    given = {
        "trials": trials,
        "metric": metric,
        "sampler": sampler,
        "pruner": pruner,
        "sweep_seed": sweep_seed,
    }
    changes = taken_from(given) | ({} if space is None else {"space": space})
    with Workspace.at(project, db, plugin_paths) as workspace:
        watching = [display] if progress else []
        found = search(workspace, name, asked, changes, ARGUMENT, watching).report
        assert found is not None, "it did not go to other processes"
        return found


@hinting
def resume(
    run: int | str = "latest",
    *,
    iterations: int | None = None,
    minutes: float | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    observers: Iterable[object] = (),
    processes: Processes | None = None,
    progress: bool = True,
) -> Outcome:
    """Go on with a run that did not complete, or with any to another end, of so many
    iterations or minutes in all: `metapipe resume`.

    Raises UsageError for an end that was passed already, or that the run's schedule
    does not allow, SettingError for observers that are no objects, and NotFoundError
    if there is no such run.
    """
    watching = only_handed(observers)
    with Workspace.at(project, db, plugin_paths) as workspace:
        count = shared_again(workspace, processes, run)
        what = (run, iterations, minutes)
        return trained(
            count, workspace, "resume", *what, shown=progress, observers=watching
        )


def evaluate(
    run: int | str = "latest",
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
    processes: Processes | None = None,
    progress: bool = True,
    **options: Any,
) -> EvaluationRow:
    """Evaluate a run on episodes of unseen classes, and store it: `metapipe evaluate`.

    `options` are those of the command, such as `split="test"`, `episodes=1000`,
    `seed=7`; `settings` change those of the algorithm or of the data set for this
    evaluation: `{"algorithm.test_steps": 3}`. `processes`, a number or "auto", are
    started to share the episodes.
    """
    asked = _options(options, EVALUATION, evaluate)
    changes = from_settings(settings)
    with Workspace.at(project, db, plugin_paths) as workspace:
        count = shared_evaluation(workspace, processes, run, asked, ARGUMENT)
        what = (run, asked, changes, dataset, ARGUMENT)
        return evaluated(count, workspace, *what, shown=progress)


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


def compare(
    *runs: int | str,
    where: str = "",
    group_by: Sequence[str] | str | None = None,
    paired: bool = False,
    png: AnyPath | None = None,
    axis: Axis = "minutes",
    project: AnyPath | None = None,
    db: str | None = None,
) -> Comparison:
    """Runs side by side, with means over seeds by groups, or two of them on the same
    episodes: `metapipe runs compare`.

    Raises UsageError for what cannot be compared, with what to do, NotFoundError.
    """
    with Workspace.at(project, db) as workspace:
        return comparison.compare(
            workspace.store,
            runs,
            None if png is None else Path(png),
            axis,
            where=where,
            group_by=group_by,
            pair=paired,
        )


def confusion(
    run: int | str = "latest",
    *,
    evaluation: int | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> Confusion:
    """Which classes a run takes for which others, in its newest test or in the
    evaluation of a number: `metapipe runs confusion`.

    Raises UnsupportedError where there are no classes, CheckpointError if the
    parameters that were judged are kept no more, NotFoundError.
    """
    with Workspace.at(project, db, plugin_paths) as workspace:
        return confused(workspace.store, workspace.registry, run, evaluation)


def replay(
    episode: int,
    *,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> Replay:
    """An episode of the store drawn again from its integers, with what its run
    predicts; a notebook shows its picture: `metapipe episodes show`.

    Raises UnsupportedError for one that was handed in as files, CheckpointError,
    NotFoundError.
    """
    with Workspace.at(project, db, plugin_paths) as workspace:
        return replayed(episode, workspace.registry, workspace.store)


def delete(
    *runs: int | str,
    where: str | None = None,
    project: AnyPath | None = None,
    db: str | None = None,
) -> Removal:
    """Delete runs, or those that match a filter, with their episodes and checkpoints,
    without asking: `metapipe runs delete --yes`; returns which were deleted.

    Raises UsageError if one of them is running, NotFoundError.
    """
    with Workspace.at(project, db) as workspace:
        return remove_runs(workspace.store, runs, where)


def _options(
    options: Mapping[str, Any], sections: Sections, function: Callable[..., Any]
) -> Pairs:
    """Options as settings; a slip may also be of one of the function's own names."""
    return from_options(options, sections, inspect.signature(function).parameters)
