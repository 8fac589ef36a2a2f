"""A training session: the outer loop with its records, validations and checkpoints.

The order within an iteration is what makes a killed run resumable bit for bit: figures
are written before the checkpoint that covers them, and resuming deletes whatever lies
behind the checkpoint it starts from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ..dataset import Source
from ..episode import Episodes
from ..events import EpisodeRecord
from ..experiment.experiment import Experiment
from ..settings import EvaluationSettings
from ..store.records import NewEvaluation
from ..training.evaluation import episode_records, evaluate
from ..training.intervals import Summary, summarise
from ..training.learner import Learner
from ..training.loop import Iteration, TrainingState, iterations
from .clock import Clock
from .evaluations import evaluation_row, evaluation_tasks
from .recipes import meta_batch
from .reporter import Reporter
from .signals import Interruption
from .window import mean_figures

Ending = Literal["completed", "interrupted", "stopped"]
"""How a training ended that did not fail."""


@dataclass
class TrainingSession:
    """One process's part in a run."""

    experiment: Experiment
    learner: Learner
    state: TrainingState
    sources: Mapping[str, Source]
    reporter: Reporter
    best: float | None = None
    """Best validation figure so far: accuracy, or the negative loss."""

    seconds: float = 0.0
    """Time spent training, validations and checkpoints excluded."""

    latest: dict[str, float] = field(default_factory=dict)
    """The most recent figures by name."""

    def draw(self, iteration: int) -> list[Episodes]:
        """The training meta-batch of an iteration, counted from 0, on the device, in
        the parts whose gradients are computed one after the other."""
        source, device = self.sources["train"], self.learner.device
        parts = meta_batch(self.experiment, iteration)
        return [source.draw(part).to(device) for part in parts]

    def train(self, interruption: Interruption) -> Ending:
        """Train to the end, or until interrupted or stopped by an observer; a
        checkpoint is left either way."""
        training = self.experiment.training
        window: list[Iteration] = []
        loop = iterations(
            self.learner, self.state, training, self.draw, self.experiment.run.seed
        )
        with self._clock() as clock, self.learner.mapping.undisturbed():
            for iteration in loop:
                window.append(iteration)
                step = iteration.step
                done = step == training.iterations or self._out_of_time(clock)
                ended: Ending | None = "completed" if done else None
                if not ended and interruption:
                    ended = "interrupted"
                save = bool(ended) or step % training.checkpoint_every == 0
                validate = self._validates(step, done)
                if save or validate or step % training.log_every == 0:
                    with clock.paused():
                        self._record(window, clock)
                        window.clear()
                        if validate:
                            self._validate()
                        if not ended and self.reporter.stops:
                            ended = "stopped"
                        if ended or save:
                            self._checkpoint("latest")
                if ended:
                    return ended
        return "completed"  # it was resumed with nothing left to train

    def _validates(self, step: int, done: bool) -> bool:
        every = self.experiment.training.validate_every
        return every > 0 and (done or step % every == 0)

    def _out_of_time(self, clock: Clock) -> bool:
        minutes = self.experiment.training.minutes
        return minutes is not None and clock.seconds() >= 60 * minutes

    def _record(self, window: Sequence[Iteration], clock: Clock) -> None:
        """Mean figures of a window of iterations, and its episodes if wanted."""
        self.seconds = clock.seconds()
        episodes = [record for it in window for record in _records(it)]
        figures = mean_figures(window)
        figures["episodes_per_second"] = len(episodes) / clock.lap()
        self.latest.update(figures)
        self.reporter.step(self.state.step, figures)
        kept = self.experiment.training.store_episodes
        if kept == "sampled":
            episodes = list(_records(window[-1]))
        self.reporter.episodes(episodes if kept != "none" else [])

    def _validate(self) -> None:
        """Judge on the validation split; keep the checkpoint if it is the best."""
        settings = self.experiment.evaluation.model_copy(
            update={
                "split": "val",
                "episodes": self.experiment.training.validation_episodes,
            }
        )
        started = time.perf_counter()
        records = list(
            evaluate(
                self.learner,
                self.state.meta,
                self.sources["val"],
                evaluation_tasks(self.experiment, settings),
                step=self.state.step,
                prediction=settings.prediction,
            )
        )
        summary = summarise(records)
        self.reporter.evaluated(
            self._row(settings, summary, time.perf_counter() - started), records
        )
        figures = {"val_loss": summary.loss}
        if summary.accuracy is not None:
            figures["val_accuracy"] = summary.accuracy
        self.latest.update(figures)
        self.reporter.step(self.state.step, figures)
        value = -summary.loss if summary.accuracy is None else summary.accuracy
        if self.best is None or value > self.best:
            self.best = value
            self._checkpoint("best")

    def _row(
        self, settings: EvaluationSettings, summary: Summary, seconds: float
    ) -> NewEvaluation:
        return evaluation_row(
            self.experiment,
            settings,
            self.learner,
            self.sources["val"],
            summary,
            purpose="validation",
            step=self.state.step,
            checkpoint=None,
            seconds=seconds,
        )

    def _checkpoint(self, which: Literal["latest", "best"]) -> None:
        extra = {
            "experiment": self.experiment.to_dict(),
            "mapping": str(self.learner.mapping),
            "best": self.best,
            "seconds": self.seconds,
            "classes": list(self.sources["train"].facts.classes),
            "groups": list(self.sources["train"].facts.groups),
        }
        self.reporter.checkpoint(which, self.state, self.learner.network, extra)

    @contextmanager
    def _clock(self) -> Iterator[Clock]:
        clock = Clock(self.seconds)
        try:
            yield clock
        finally:
            self.seconds = clock.seconds()


def _records(iteration: Iteration) -> Iterator[EpisodeRecord]:
    """The episodes of an iteration."""
    yield from episode_records(iteration.tasks, iteration.step, iteration.metrics)
