"""A run while it lasts: what writes to its store, tells its observers and notices
signals.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import pluggy
import torch
from torch import nn

from .. import __version__
from ..events import CheckpointInfo, EpisodeRecord, RunInfo
from ..store import TaskStore
from ..store.records import NewEvaluation
from ..training.checkpoint import save
from ..training.loop import TrainingState

logger = logging.getLogger("metapipe")

HEARTBEAT_SECONDS = 10.0


@dataclass
class Reporter:
    """Writes what happens in a run to the store, and tells the plugins."""

    run: RunInfo
    store: TaskStore
    manager: pluggy.PluginManager
    _faults: set[str] = field(default_factory=set)

    def started(self) -> None:
        """The run begins or goes on."""
        self._tell("run_started")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures of a meta-iteration."""
        self.store.record_metrics(self.run.id, step, metrics)
        self.store.update_run(self.run.id, step=step)
        self._tell("step_recorded", step=step, metrics=metrics)

    def episodes(self, records: Sequence[EpisodeRecord]) -> None:
        """Training episodes."""
        if records:
            self.store.record_episodes(self.run.id, records)
            self._tell("episodes_recorded", episodes=records)

    def validated(
        self, evaluation: NewEvaluation, records: Sequence[EpisodeRecord]
    ) -> None:
        """A validation with its episodes."""
        self.store.record_evaluation(self.run.id, evaluation, records)
        self._tell("episodes_recorded", episodes=records)

    def checkpoint(
        self,
        kind: Literal["latest", "best"],
        state: TrainingState,
        network: nn.Module,
        extra: Mapping[str, Any],
    ) -> CheckpointInfo:
        """Write a checkpoint, then its row, then remove the file it replaces."""
        path = self.run.directory / f"{kind}-{state.step:08d}.safetensors"
        sha256 = save(path, state, network, extra)
        size = path.stat().st_size
        info = CheckpointInfo(path, sha256, size, state.step, kind)
        replaced = self.store.save_checkpoint(self.run.id, info)
        if replaced is not None:
            replaced.unlink(missing_ok=True)
        self._tell("checkpoint_saved", checkpoint=info)
        return info

    def finished(
        self,
        status: Literal["completed", "interrupted"],
        metrics: Mapping[str, float],
        seconds: float,
    ) -> None:
        """The run ended well, or was asked to stop."""
        self.store.finish_run(
            self.run.id, status, metrics=metrics, train_seconds=seconds
        )
        self._tell("run_finished", status=status, metrics=metrics)

    def failed(self, error: BaseException) -> None:
        """The run ended by an error."""
        text = str(error) or type(error).__name__
        self.store.finish_run(self.run.id, "failed", error=text)
        self._tell("run_failed", error=error)

    def _tell(self, hook: str, **what: Any) -> None:
        """Call a hook; an observer that breaks is reported once and costs no run."""
        try:
            getattr(self.manager.hook, hook)(run=self.run, **what)
        except Exception as error:  # anybody's code
            fault = f"{hook}: {type(error).__name__}: {error}"
            if fault not in self._faults:
                self._faults.add(fault)
                logger.warning("a plugin failed while observing the run: %s", fault)


@contextmanager
def heartbeat(store: TaskStore, run_id: int) -> Iterator[None]:
    """Let the store know, from a thread, that this process is alive."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                store.heartbeat(run_id)
            except Exception as error:  # the next beat may get through
                logger.warning("no heartbeat for run %s: %s", run_id, error)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Interruption:
    """Set once SIGINT or SIGTERM arrives; a second one interrupts at once."""

    def __init__(self) -> None:
        self.requested = False

    def __bool__(self) -> bool:
        return self.requested

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        logger.warning("stopping after this iteration, with a checkpoint")


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn the first SIGINT or SIGTERM into a request (only in the main thread)."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interruption._notice) for number in numbers]
    try:
        yield interruption
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def environment() -> dict[str, Any]:
    """What this run's figures may depend on beside its experiment."""
    return {
        "metapipe": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
    }


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def git_state(directory: Path) -> tuple[str | None, bool | None]:
    """Commit of the user's project, and whether it has uncommitted changes."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        return commit, bool(_git(directory, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
