"""A training session: the outer loop with its records, validations and checkpoints.

The order within an iteration is what makes a killed run resumable bit for bit: figures
are written before the checkpoint that covers them, and resuming deletes whatever lies
behind the checkpoint it starts from. A checkpoint whose figures could not be written,
since the store was away, has them with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ..dataset import Source
from ..episode import Episodes
from ..errors import ClaimError, StoreError
from ..experiment.experiment import Experiment
from ..problem import Split
from ..settings import EvaluationSettings
from ..store.records import NewEvaluation
from ..training.crew import ALONE, Crew
from ..training.delivery import delivered
from ..training.evaluation import evaluate
from ..training.intervals import Summary, summarise
from ..training.learner import Learner
from ..training.loop import Iteration, TrainingState, iterations, lr_at, same_rates
from .agreement import require_same_state
from .allowance import Allowance
from .clock import Clock
from .evaluations import evaluation_row, evaluation_tasks, judged
from .ranking import Ranking, Validated, goodness, to_json, with_another
from .recipes import draw_meta_batch
from .reporter import Reporter
from .signals import Interruption
from .silent import Silent
from .stretch import Stretch

Ending = Literal["completed", "interrupted", "stopped"]
"""How a training ended that did not fail."""

logger = logging.getLogger("metapipe")


@dataclass
class TrainingSession:
    """One process's part in a run; those of a crew do the same, and who leads keeps the
    records."""

    experiment: Experiment
    learner: Learner
    state: TrainingState
    sources: Mapping[Split, Source]
    reporter: Reporter | Silent
    crew: Crew = ALONE
    best: Ranking = ()
    """The best validations so far: as many as are kept."""

    seconds: float = 0.0
    """Time spent training, validations and checkpoints excluded."""

    latest: dict[str, float] = field(default_factory=dict)
    """The most recent figures by name."""

    allowance: Allowance = field(default_factory=Allowance)
    """Of training episodes that are kept as samples."""

    stopped: bool = False
    """Whether an observer ended it when it caught up."""

    @cached_property
    def supply(self) -> Source:
        """Where training episodes come from."""
        return delivered(self.sources["train"], self.learner.device)

    def draw(self, iteration: int) -> list[Episodes]:
        """The training meta-batch of an iteration, counted from 0, on the device, in
        the parts whose gradients are computed one after the other; in worlds it is what
        the parameters of now do."""
        return draw_meta_batch(
            *(self.experiment, self.learner, self.state.meta, self.supply),
            *(iteration, self.crew),
        )

    def train(self, interruption: Interruption) -> Ending:
        """Train to the end, or until interrupted or stopped by an observer; a
        checkpoint is left either way."""
        training = self.experiment.training
        window: list[Iteration] = []
        seed = self.experiment.run.seed
        loop = iterations(
            self.learner, self.state, training, self.draw, seed, self.crew
        )
        done, _ = self._agreed(self.seconds, interruption)
        if self.state.step and done:
            self._complete()
            return "completed"  # it was resumed with nothing left to train
        if self.stopped:
            return "stopped"
        with self._clock() as clock, self.learner.mapping.undisturbed():
            for iteration in loop:
                window.append(iteration)
                step = iteration.step
                ended: Ending | None = None
                done, interrupted = self._agreed(clock.seconds(), interruption)
                if done:
                    ended = "completed"
                    self._tell_of_a_cut()
                elif interrupted:
                    ended = "interrupted"
                save = bool(ended) or step % training.checkpoint_every == 0
                validate = self._validates(ended == "completed")
                if save or validate or step % training.log_every == 0:
                    with clock.paused():
                        self.seconds = clock.seconds()
                        stretch = Stretch.of(window, clock.lap(), self._kept(window))
                        window.clear()
                        ended = self._close(stretch, validate, ended, save)
                if ended:
                    return ended
        raise AssertionError("a training that is not done has iterations left")

    def catch_up(self, stretch: Stretch) -> None:
        """Do what remained to be done after the last iteration of a process that could
        not reach the store."""
        validate = self._validates(self._done(self.seconds))
        self.stopped = self._close(stretch, validate, None, save=True) == "stopped"

    def _close(
        self, stretch: Stretch, validate: bool, ended: Ending | None, save: bool
    ) -> Ending | None:
        """Record a stretch, validate, and keep a checkpoint; returns how the training
        ends, if an observer ends it."""
        best = self.best
        try:
            self._record(stretch)
            if validate:
                self._validate()
            if self.crew.share(bool(self.reporter.stops)) and not ended:
                ended = "stopped"
            if ended or save:
                self._checkpoint()
        except ClaimError:
            raise
        except StoreError:
            kept = {"best": to_json(best), "unrecorded": stretch.to_json()}
            self.reporter.rescue(self.state, self.learner.network, self._told() | kept)
            raise
        return ended

    def _kept(self, window: Sequence[Iteration]) -> str:
        """Which episodes of some iterations are: samples are bounded by rate."""
        kept = self.experiment.training.store_episodes
        if kept == "sampled" and not self.allowance.takes(len(window[-1].tasks)):
            return "none"
        return kept

    def _agreed(self, seconds: float, interruption: Interruption) -> tuple[bool, bool]:
        """Whether the training is done, by the seconds of who leads, and whether any
        process was asked to stop."""
        told = self.crew.gather((seconds, bool(interruption)))
        return self._done(told[0][0]), any(asked for _, asked in told)

    def _complete(self) -> None:
        """Keep the checkpoint that a process did not come to that was killed when it
        had kept the best of this very step."""
        leaders, *_ = self.crew.gather(self.reporter.latest_step())
        if leaders != self.state.step:
            self._checkpoint()

    def _validates(self, done: bool) -> bool:
        every = self.experiment.training.validate_every
        return every > 0 and (done or self.state.step % every == 0)

    def _done(self, seconds: float) -> bool:
        """Whether all iterations are done, or the time is over."""
        training = self.experiment.training
        late = training.minutes is not None and seconds >= 60 * training.minutes
        return late or self.state.step >= training.iterations

    def _tell_of_a_cut(self) -> None:
        """Warn where the time was over before a schedule was."""
        training, step = self.experiment.training, self.state.step
        ended = training.model_copy(update={"iterations": step})
        if step < training.iterations and not same_rates(training, ended, step + 1):
            logger.warning(
                "training.minutes = %g ended training after %d of %d iterations: the "
                "%s schedule was cut at a step size of %.3g; with --iterations %d it "
                "goes to its end",
                training.minutes,
                step,
                training.iterations,
                training.schedule,
                lr_at(training, step),
                step,
            )

    def _record(self, stretch: Stretch) -> None:
        self.latest.update(stretch.figures)
        self.reporter.step(stretch.step, stretch.figures, stretch.episodes)

    def _validate(self) -> None:
        """Judge on the validation split; keep the checkpoint if it is the best."""
        settings = self.experiment.evaluation.model_copy(
            update={
                "split": "val",
                "episodes": self.experiment.training.validation_episodes,
            }
        )
        started = time.perf_counter()
        met = evaluate(
            self.learner,
            self.state.meta,
            self.sources["val"],
            evaluation_tasks(self.experiment, settings),
            step=self.state.step,
            prediction=settings.prediction,
            crew=self.crew,
        )
        records = judged(met, "val", settings.episodes, self.reporter.advanced)
        summary = summarise(records, self.sources["val"].part)
        self.reporter.evaluated(
            self._row(settings, summary, time.perf_counter() - started), records
        )
        figures = {"val_loss": summary.loss}
        if summary.accuracy is not None:
            figures["val_accuracy"] = summary.accuracy
        self.latest.update(figures)
        self.reporter.step(self.state.step, figures)
        select = self.experiment.training.select
        value = goodness(select, summary.loss, summary.accuracy)
        new = Validated(self.state.step, value)
        self.best = with_another(self.best, new, self.experiment.kept_best)
        if new in self.best:
            self._checkpoint([each.step for each in self.best])

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

    def _checkpoint(self, best: Sequence[int] = ()) -> None:
        require_same_state(self.crew, self.state)
        network = self.learner.network
        self.reporter.checkpoint(self.state, network, self._told(), best)

    def _told(self) -> dict[str, Any]:
        """What a checkpoint tells beside the state."""
        return {
            "experiment": self.experiment.unobserved().to_dict(),
            "mapping": str(self.learner.mapping),
            "best": to_json(self.best),
            "seconds": self.seconds,
            "classes": list(self.sources["train"].facts.classes),
            "groups": list(self.sources["train"].facts.groups),
        }

    @contextmanager
    def _clock(self) -> Iterator[Clock]:
        clock = Clock(self.seconds)
        try:
            yield clock
        finally:
            self.seconds = clock.seconds()
