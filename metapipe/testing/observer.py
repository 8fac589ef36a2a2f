"""What metapipe relies on in an observer of runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pluggy

from .. import hookspecs
from ..episode import Task
from ..errors import DivergedError
from ..events import CheckpointInfo, EpisodeRecord, EvaluationInfo, RunInfo
from ..observer import Observer
from ..printable import one_line
from ..settings import RunSettings, TaskSettings
from ..training_settings import TrainingSettings

LISTENING = (
    *("run_started", "step_recorded", "episodes_recorded", "evaluation_recorded"),
    "evaluation_advanced",
    *("checkpoint_saved", "stop_run", "run_finished", "run_failed"),
)
"""The hooks of observers."""

Call = tuple[str, dict[str, Any]]
"""A hook, and what it is told beside the run."""


class ObserverContract:
    """What metapipe relies on in an observer: it may do what it likes with what it is
    told, but raise nothing and change nothing; a run goes on without one that does.

    It is told of runs as they are: of classification and of regression, that complete,
    are interrupted or stopped, that fail before their first step, and that go on.
    """

    observer: ClassVar[object]
    """A module, or an object, with methods marked by metapipe.hookimpl; or an Observer,
    whose listeners are told of a run each."""

    def test_it_listens_to_hooks_that_there_are(self) -> None:
        """By their names, and with arguments that they have."""
        listener = _listener(self.observer)
        manager = _manager(listener)
        heard = {caller.name for caller in manager.get_hookcallers(listener) or ()}
        assert heard & set(LISTENING), (
            f"{self.observer!r} listens to nothing: mark functions with "
            f"metapipe.hookimpl, and call them {', '.join(LISTENING)}"
        )

    def test_it_lives_through_every_kind_of_run(self) -> None:
        """Nothing is raised, whatever the order of runs and however they end."""
        for _ in _told(self.observer):
            pass

    def test_it_leaves_what_it_is_told_as_it_is(self) -> None:
        """Other observers are told the same."""
        for told in _told(self.observer):
            assert told.after == told.before, (
                f"{told.hook} changes what it is told: it was {told.before}, and is "
                f"{told.after} now; work on a copy"
            )

    def test_it_stops_a_run_by_a_line_or_not_at_all(self) -> None:
        """`stop_run` says why, or nothing."""
        for told in _told(self.observer):
            if told.hook == "stop_run" and told.said is not None:
                lines = told.said.splitlines() if isinstance(told.said, str) else []
                assert len(lines) == 1, (
                    f"stop_run returns {told.said!r}: return None to go on, or the "
                    "reason, one line of text"
                )


class _Told(NamedTuple):
    """What an observer was told, what it became, and what it said."""

    hook: str
    before: str
    after: str
    said: Any


def _told(observer: object) -> Iterator[_Told]:
    """Tell an observer of all runs, each with a directory that is there."""
    for run, calls in _stories():
        hooks = _manager(_listener(observer)).hook
        # What it writes by a relative path stays out of the way.
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            info = replace(run, directory=Path(folder))
            for hook, what in calls:
                before = repr(what)
                try:
                    said = getattr(hooks, hook)(run=info, **what)
                except Exception as error:
                    raise AssertionError(
                        f"{hook} raises {type(error).__name__}: {error}; it was told "
                        f"{before}. Not every figure is there in every run"
                    ) from error
                yield _Told(hook, before, repr(what), said)


def _listener(observer: object) -> object:
    return observer.listener() if isinstance(observer, Observer) else observer


def _manager(observer: object) -> pluggy.PluginManager:
    """That calls this observer alone."""
    manager = pluggy.PluginManager("metapipe")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(observer)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        text = one_line(error)
        raise AssertionError(f"metapipe has no such hook or argument: {text}") from None
    return manager


def _stories() -> Iterator[tuple[RunInfo, list[Call]]]:
    """Runs, and what observers are told of them, in order."""
    yield _run(1), _training("classification", 0, "completed")
    yield _run(2), _training("regression", 0, "completed")
    yield _run(3), _training("classification", 0, "interrupted")
    yield _run(3, step=10), _training("classification", 10, "stopped")
    failure = DivergedError("the loss is nan at iteration 1: lower training.lr")
    yield _run(4), [("run_started", {}), ("run_failed", {"error": failure})]


def _run(number: int, step: int = 0) -> RunInfo:
    sections = {
        "run": RunSettings(),
        "task": TaskSettings(),
        "training": TrainingSettings(iterations=20),
    }
    experiment: Mapping[str, Any] = {
        name: section.model_dump(mode="json") for name, section in sections.items()
    } | {"algorithm": {}, "model": {}, "dataset": {}}
    name = None if number == 2 else f"run {number}"
    tags = () if number == 1 else ("contract",)
    return RunInfo(number, name, experiment, Path(), step, 20, tags=tags)


def _training(
    kind: Literal["classification", "regression"], first: int, status: str
) -> list[Call]:
    """Ten iterations with a validation, and the test of a completed run."""
    classes = kind == "classification"
    step = first + 10
    figures = {"loss": 1.1, "grad_norm": 0.5, "lr": 0.001, "episodes_per_second": 90.0}
    validated = {"val_loss": 1.2}
    ended = {**figures, **validated}
    if classes:
        figures["accuracy"], validated["val_accuracy"] = 0.5, 0.4
        ended = {**figures, **validated}
    saved = [
        CheckpointInfo(Path(f"{which}.safetensors"), "0" * 64, 1000, step, which)
        for which in ("best", "latest")
    ]
    calls: list[Call] = [
        ("run_started", {}),
        *_recorded(step, figures),
        ("episodes_recorded", {"episodes": [_episode("train", step, classes)]}),
        *_judged("val", step, classes),
        *_recorded(step, validated),
        *(("checkpoint_saved", {"checkpoint": checkpoint}) for checkpoint in saved),
    ]
    if status == "completed":
        calls += _judged("test", step, classes)
        ended["test_loss"] = 1.3
        if classes:
            ended |= {"test_accuracy": 0.4, "test_accuracy_ci95": 0.01}
    return [*calls, ("run_finished", {"status": status, "metrics": ended})]


def _recorded(step: int, figures: Mapping[str, float]) -> list[Call]:
    told = {"step": step, "metrics": dict(figures)}
    return [("step_recorded", told), ("stop_run", told)]


def _judged(split: str, step: int, classes: bool) -> list[Call]:
    """An evaluation of two episodes."""
    episodes = [_episode(split, step, classes) for _ in range(2)]
    advanced: list[Call] = [
        ("evaluation_advanced", {"split": split, "done": done, "episodes": 2})
        for done in (0, 2)
    ]
    figures = {"loss": (1.2, 0.1)} | ({"accuracy": (0.4, 0.02)} if classes else {})
    purpose = "test" if split == "test" else "validation"
    of = ("contract", split, step, 2, 5 if classes else 1, 1, 15, False, figures)
    return [
        *advanced,
        ("episodes_recorded", {"episodes": episodes}),
        ("evaluation_recorded", {"evaluation": EvaluationInfo(purpose, *of)}),
    ]


def _episode(split: str, step: int, classes: bool) -> EpisodeRecord:
    task = Task("contract", split, 0, 0, 5 if classes else 1, 1, 15)
    return EpisodeRecord(task, step, 1.2, accuracy=0.4 if classes else None)
