"""How the processes of a training that do not lead take part: they are told what to
train, do the same as the one that leads, and record nothing.

It is told in this order: the plan; that the leader has opened the data, whose caches
are there then; the beginning; the test, if the training completes; and the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..algorithm import Meta
from ..errors import CheckpointError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..settings import EvaluationSettings
from ..training.checkpoint import Checkpoint, load
from ..training.crew import Crew
from ..training.ensemble import ensemble
from ..training.evaluation import evaluate
from ..training.learner import Learner
from ..training.loop import initial_state
from .agreement import require_agreement
from .evaluations import evaluation_tasks
from .outcome import Outcome
from .preparation import prepare
from .ranking import from_header
from .session import TrainingSession
from .signals import interruptible
from .silent import Silent
from .stored_run import opened_learner
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
    plan = {"experiment": experiment.to_dict(), "checkpoint": _place(checkpoint)}
    crew.share(plan)


def tell_over(crew: Crew, outcome: Outcome) -> None:
    """Tell that there is nothing to train."""
    crew.share({"over": _facts(outcome)})


def tell_test(
    crew: Crew,
    settings: EvaluationSettings,
    checkpoints: Sequence[Checkpoint],
    mapping: LocalTaskMap,
) -> None:
    """Tell by what a run that completed is tested, and how tasks are mapped."""
    places = [_place(each) for each in checkpoints]
    told = {"settings": settings.model_dump(), "mapping": str(mapping)}
    crew.share({**told, "checkpoints": places})


def tell_beginning(crew: Crew, outcome: Outcome, facts: Mapping[str, Any]) -> None:
    """Tell which run it is, and where and how it begins."""
    crew.share({"run": _facts(outcome), **facts})


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
    checkpoint = _found(plan["checkpoint"]) if plan["checkpoint"] else None
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
    session.learner = replace(session.learner, mapping=mapping)
    with interruptible(_nobody) as interruption:
        try:
            if begun["unrecorded"]:
                session.catch_up(Stretch(state.step, state.step, {}, ()))
            if session.train(interruption) == "completed":
                with interruption.at_once():
                    _test(session)
            return _outcome(crew, crew.share({}))
        except KeyboardInterrupt:
            crew.fail(KeyboardInterrupt())
            return _outcome(crew, begun["run"] | {"status": "interrupted"})


def _test(session: TrainingSession) -> None:
    """Judge this process's share of the test."""
    crew, experiment = session.crew, session.experiment
    told: dict[str, Any] = crew.share({})
    settings = EvaluationSettings.model_validate(told["settings"])
    learner, meta = _tested(session, [_found(each) for each in told["checkpoints"]])
    learner = replace(learner, mapping=LocalTaskMap.parse(told["mapping"]))
    source, how = session.sources[settings.split], settings.prediction
    tasks = evaluation_tasks(experiment, settings)
    for _ in evaluate(learner, meta, source, tasks, step=0, prediction=how, crew=crew):
        pass  # who leads keeps the records


def _tested(
    session: TrainingSession, checkpoints: Sequence[Checkpoint]
) -> tuple[Learner, Meta]:
    learner = session.learner
    problem, mapping = learner.problem, learner.mapping
    opened = [
        opened_learner(session.experiment, each, problem, mapping)
        for each in checkpoints
    ]
    return ensemble(opened[0][0], [meta for _, meta in opened])


def _place(checkpoint: Checkpoint | None) -> tuple[str, str] | None:
    return (
        None if checkpoint is None else (str(checkpoint.file.path), checkpoint.sha256)
    )


def _found(place: Sequence[str]) -> Checkpoint:
    path, sha256 = Path(place[0]), place[1]
    if not path.exists():
        raise CheckpointError(
            f"no checkpoint at {path} here: the processes of a training need one "
            "folder, shared among their machines"
        )
    return load(path, sha256)


def _facts(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it."""
    facts = vars(outcome) | {"directory": str(outcome.directory), "evaluation": None}
    return {**facts, "metrics": dict(outcome.metrics)}


def _outcome(crew: Crew, facts: Mapping[str, Any]) -> Outcome:
    place = {"directory": Path(facts["directory"]), "rank": crew.rank}
    return Outcome(**{**facts, **place})


def _nobody() -> None:
    """Hears that a process was asked to stop."""
