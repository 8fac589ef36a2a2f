"""The whole plugin API of metapipe: hooks that say what exists, that listen, and one
that stops a run.

Mark an implementation with `metapipe.hookimpl`; take only the arguments you need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pluggy

from .encoder import RegisterEncoder
from .events import CheckpointInfo, EpisodeRecord, EvaluationInfo, RunInfo
from .plugin import Register

hookspec = pluggy.HookspecMarker("metapipe")
hookimpl = pluggy.HookimplMarker("metapipe")


@hookspec
def register_algorithms(register: Register) -> None:
    """Call `register(name, cls)` for each `Algorithm` this plugin offers."""


@hookspec
def register_models(register: Register) -> None:
    """Call `register(name, cls)` for each `Model` this plugin offers."""


@hookspec
def register_datasets(register: Register) -> None:
    """Call `register(name, cls)` for each `Dataset` this plugin offers."""


@hookspec
def register_encoders(register: RegisterEncoder) -> None:
    """Call `register(name, cls)` for each `Encoder` this plugin offers; `name` is the
    default of its field `type`."""


@hookspec
def register_backbones(register: Register) -> None:
    """Call `register(name, cls)` for each `Backbone` this plugin offers."""


@hookspec
def register_observers(register: Register) -> None:
    """Call `register(name, cls)` for each `Observer` this plugin offers: it is told of
    the runs that name it."""


@hookspec
def run_started(run: RunInfo) -> None:
    """A run begins, or goes on at `run.step`."""


@hookspec
def step_recorded(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Figures of meta-iteration `step`; validation figures are named `val_*`."""


@hookspec
def episodes_recorded(run: RunInfo, episodes: Sequence[EpisodeRecord]) -> None:
    """Episodes of training or of an evaluation were written to the task store."""


@hookspec
def evaluation_recorded(run: RunInfo, evaluation: EvaluationInfo) -> None:
    """A validation, or the test that ends a run, was written to the task store."""


@hookspec
def evaluation_advanced(run: RunInfo, split: str, done: int, episodes: int) -> None:
    """So many episodes of a validation or of the test are judged: none when it begins,
    then some at a time."""


@hookspec(firstresult=True)
def stop_run(run: RunInfo, step: int, metrics: Mapping[str, float]) -> str | None:
    """Say in a line why the run should stop now, or nothing; asked after each
    `step_recorded`. A stopped run has a checkpoint, no final test, and can be
    resumed."""


@hookspec
def checkpoint_saved(run: RunInfo, checkpoint: CheckpointInfo) -> None:
    """A checkpoint is on disk and in the task store."""


@hookspec
def run_finished(run: RunInfo, status: str, metrics: Mapping[str, float]) -> None:
    """The run ended as `completed`, `interrupted` or `stopped`, with its final
    figures."""


@hookspec
def run_failed(run: RunInfo, error: BaseException) -> None:
    """The run ended by `error`."""
