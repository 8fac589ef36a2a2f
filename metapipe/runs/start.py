"""What a training begins with: the parameters of another run, if it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import CheckpointError, UnsupportedError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..store import StoreReader
from ..store.records import RunRow
from ..training.checkpoint import Checkpoint
from .preparation import Prepared, prepare
from .stored_run import checkpoint_row, stored_checkpoint, trained_run


@dataclass(frozen=True)
class Start:
    """A checkpoint of another run to begin with."""

    run: RunRow
    which: str
    checkpoint: Checkpoint

    def to_json(self) -> dict[str, Any]:
        """What is kept with the run that began so."""
        return {
            "run": self.run.id,
            "which": self.which,
            "step": self.checkpoint.step,
            "sha256": self.checkpoint.sha256,
        }


def by_number(store: StoreReader, experiment: Experiment) -> Experiment:
    """The same experiment, that names the run it starts from by its number."""
    row = trained_run(store, str(experiment.run.start_from))
    run = experiment.run.model_copy(update={"start_from": str(row.id)})
    return replace(experiment, run=run)


def start_of(
    store: StoreReader, experiment: Experiment, recorded: RunRow | None = None
) -> Start | None:
    """What an experiment starts from; for a `recorded` run that began so, the same
    parameters.

    Raises UsageError if that run learned with another algorithm or model, or has other
    parameters by now.
    """
    run = experiment.run
    if run.start_from is None:
        return None
    row = store.run(run.start_from)
    for kind in ("algorithm", "model"):
        theirs, own = getattr(row, kind), getattr(run, kind)
        if theirs != own:
            raise UsageError(
                f"--start-from {row.id}: it learned with {row.algorithm} on "
                f"{row.model}, and this is {run.algorithm} on {run.model}: choose "
                f"the same {kind}"
            )
    which = checkpoint_row(store, row, run.start_checkpoint).which
    start = Start(row, which, stored_checkpoint(store, row, which))
    known = recorded.environment.get("start") if recorded else None
    if recorded and known and known["sha256"] != start.checkpoint.sha256:
        raise UsageError(
            f"run {recorded.id} began with step {known['step']} of run {row.id}, which "
            f"is at step {start.checkpoint.step} by now: name what to begin with anew, "
            "by metapipe train --start-from RUN"
        )
    return start


def prepared_from(
    experiment: Experiment,
    start: Start | None,
    checkpoint: Checkpoint | None = None,
    registry: Registry | None = None,
) -> Prepared:
    """Ready to go on from a checkpoint, or to begin with the parameters of `start`.

    Raises UnsupportedError if they do not fit.
    """
    if checkpoint is not None or start is None:
        return prepare(experiment, checkpoint, registry)
    try:
        return _anew(prepare(experiment, start.checkpoint, registry))
    except CheckpointError as error:
        raise UnsupportedError(
            f"--start-from {start.run.id}: the parameters of run {start.run.id} are "
            f"others than those of this experiment: {error}; give the settings that it "
            f"had (metapipe runs show {start.run.id}), or leave --start-from out"
        ) from error


def _anew(prepared: Prepared) -> Prepared:
    """With the network's statistics as they are, since they belong to the parameters,
    and what else its algorithm carries along (a weight that falls, a count of steps,
    moments) as at the beginning."""
    network, meta = prepared.learner.network, prepared.meta
    first = prepared.learner.algorithm.init(network).state
    statistics = {name for name, _ in network.named_buffers()}
    state = {
        name: value if name in statistics else first[name].to(value)
        for name, value in meta.state.items()
    }
    return replace(prepared, meta=replace(meta, state=state))
