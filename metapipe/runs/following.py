"""How the processes of a training that do not lead take part: they are told what to
train, do the same as the one that leads, and record nothing.

It is told in this order: the plan; that the leader has opened the data, whose caches
are there then; the beginning, and that all are ready; the test, if the training
completes; and the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..numerics.threads import computing_with
from ..training.checkpoint import Checkpoint
from ..training.crew import Crew
from ..training.loop import initial_state
from ..training.trial import able, few
from .agreement import require_agreement
from .outcome import Outcome
from .preparation import prepare
from .ranking import from_header
from .session import TrainingSession
from .shared_test import found_at, place_of, take_part
from .signals import interruptible
from .silent import Silent
from .stretch import Stretch


def tell_plan(
    crew: Crew, experiment: Experiment, checkpoint: Checkpoint | None
) -> None:
    """Tell what is trained, and what the learner is opened from. Raises UsageError if
    there is nothing to do for some process."""
    if crew.size == 1:
        return
    shards = experiment.training.shards
    if crew.size > shards:
        raise UsageError(
            f"{crew.size} processes: training.shards = {shards}; give --shards "
            f"{crew.size}, or at most {shards} processes"
        )
    plan = {
        "experiment": experiment.to_dict(),
        "checkpoint": None if checkpoint is None else place_of(checkpoint),
        "threads": torch.get_num_threads(),
    }
    crew.share(plan)


def tell_over(crew: Crew, outcome: Outcome) -> None:
    """Tell that there is nothing to train."""
    crew.share({"over": _facts(outcome)})


def tell_beginning(crew: Crew, outcome: Outcome, facts: Mapping[str, Any]) -> None:
    """Tell which run it is, and where and how it begins; then all are ready."""
    crew.share({"run": _facts(outcome), **facts})
    crew.gather(None)


def tell_end(crew: Crew, outcome: Outcome) -> Outcome:
    """Tell how the run ended, which is returned: nobody leaves before."""
    crew.share(_facts(outcome))
    return outcome


def follow(crew: Crew, registry: Registry) -> Outcome:
    """Take part in the training that is told. Raises CrewError for whatever happens to
    the others, and of its own what `train` raises."""
    plan: dict[str, Any] = crew.share({})
    if "over" in plan:
        return _outcome(crew, plan["over"])
    experiment = Experiment.from_dict(plan["experiment"], registry)
    checkpoint = found_at(plan["checkpoint"]) if plan["checkpoint"] else None
    with computing_with(plan["threads"]):
        return _followed(crew, registry, experiment, checkpoint)


def _followed(
    crew: Crew,
    registry: Registry,
    experiment: Experiment,
    checkpoint: Checkpoint | None,
) -> Outcome:
    crew.share(None)
    prepared = prepare(experiment, checkpoint, registry)
    require_agreement(crew, prepared, registry)
    groups = experiment.algorithm.groups()
    state = initial_state(prepared.meta, experiment.training, groups)
    session = TrainingSession(
        experiment, prepared.learner, state, prepared.sources, Silent(), crew
    )
    begun: dict[str, Any] = crew.share({})
    if begun["resumed"]:
        assert checkpoint is not None, "the leader resumes from the one it told of"
        checkpoint.restore(state)
        session.best, session.seconds = from_header(begun), begun["seconds"]
    mapping = LocalTaskMap.parse(begun["mapping"])
    execution = begun["execution"]
    session.learner = replace(session.learner, mapping=mapping, execution=execution)
    _warm_up(session)
    crew.gather(None)
    with interruptible(_nobody) as interruption:
        try:
            if begun["unrecorded"]:
                session.catch_up(Stretch(state.step, state.step, {}, ()))
            if session.train(interruption) == "completed":
                with interruption.at_once():
                    take_part(crew, registry, session.sources)
            return _outcome(crew, crew.share({}))
        except KeyboardInterrupt:
            crew.fail(KeyboardInterrupt())
            return _outcome(crew, begun["run"] | {"status": "interrupted"})


def _warm_up(session: TrainingSession) -> None:
    """Do once what takes long the first time (vmap needs a second), which the leader
    has done when it chose how tasks are mapped: it would wait for it in the first
    iteration."""
    learner, meta = session.learner, session.state.meta
    able(learner, meta, few(session.draw(session.state.step)[0]), learner.mapping)


def _facts(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it."""
    facts = vars(outcome) | {"directory": str(outcome.directory), "evaluation": None}
    return {**facts, "metrics": dict(outcome.metrics)}


def _outcome(crew: Crew, facts: Mapping[str, Any]) -> Outcome:
    place = {"directory": Path(facts["directory"]), "rank": crew.rank}
    return Outcome(**{**facts, **place})


def _nobody() -> None:
    """Hears that a process was asked to stop."""
