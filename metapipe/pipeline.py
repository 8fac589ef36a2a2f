"""Train, resume, evaluate, replay: what the command line does, as functions."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch

from .checkpoint import Checkpoint, load
from .contracts import Dataset, Meta, Source, Split
from .episode import Episodes, Task
from .errors import DataError, NotFoundError, UnsupportedError, UsageError
from .evaluation import Prediction, predict, summarise
from .evaluation import evaluate as evaluate_tasks
from .events import RunInfo
from .experiment import Experiment
from .functional import task_loss
from .learner import Learner, build_learner, check_problem, choose_device, problem_of
from .mapping import TaskMap, candidates
from .records import CheckpointRow, EvaluationRow, NewRun, RunRow
from .registry import Registry
from .run import Reporter, environment, git_state, heartbeat, host, interruptible
from .session import Session, evaluation_row, evaluation_tasks
from .settings import EvaluationSettings
from .store import TaskStore
from .training import choose_mapping, start


@dataclass(frozen=True)
class Outcome:
    """How a training run ended."""

    run_id: int
    status: str
    step: int
    metrics: Mapping[str, float]
    evaluation: EvaluationRow | None
    directory: Path
    device: str
    mapping: str


@dataclass(frozen=True)
class Replay:
    """One episode drawn again from its integers, with what the run predicts."""

    task: Task
    episodes: Episodes
    """The episode, as a meta-batch of one."""

    classes: tuple[str, ...]
    """Class names by label; empty for regression."""

    predictions: list[int] | list[list[float]]
    """A label for each query, or the predicted numbers."""

    accuracy: float | None
    loss: float


@dataclass(frozen=True)
class _Prepared:
    """An experiment with its data opened and its learner built: all checks passed."""

    experiment: Experiment
    sources: Mapping[str, Source]
    learner: Learner
    meta: Meta


def train(
    experiment: Experiment,
    registry: Registry,
    store: TaskStore,
    project: Path,
    *,
    parent: int | None = None,
) -> Outcome:
    """Run an experiment: train, then evaluate on the split its settings name.

    Everything that can be refused is refused before the run is entered in the store.
    """
    prepared = _prepare(experiment)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    directory = project / ".metapipe" / "runs" / f"{moment}-{secrets.token_hex(3)}"
    commit, dirty = git_state(project)
    run_id = store.begin_run(
        NewRun(
            name=experiment.run.name,
            algorithm=experiment.run.algorithm,
            model=experiment.run.model,
            dataset=experiment.run.dataset,
            seed=experiment.run.seed,
            ways=experiment.task.ways,
            shots=experiment.task.shots,
            queries=experiment.task.queries,
            iterations=experiment.training.iterations,
            config=experiment.to_dict(),
            plugins=registry.versions(experiment),
            environment=environment() | {"data": prepared.sources["train"].fingerprint},
            git_commit=commit,
            git_dirty=dirty,
            device=prepared.learner.device,
            mapping=None,
            parent_id=parent,
            directory=str(directory),
            host=host(),
            pid=os.getpid(),
        )
    )
    return _run(run_id, prepared, None, registry, store)


def resume(run_id: int, registry: Registry, store: TaskStore) -> Outcome:
    """Go on with a run from its latest checkpoint, or from the start if it has none."""
    row = store.run(run_id)
    if row.status in ("completed", "running"):
        raise UsageError(
            f"run {run_id} is {row.status} and cannot be resumed; repeat it with "
            f"metapipe train --from-run {run_id}"
        )
    prepared = _prepare(Experiment.from_dict(row.config, registry))
    _require_same_data(row.environment.get("data"), prepared.sources["train"])
    rows = {c.kind: c for c in store.checkpoints(run_id)}
    latest = rows.get("latest")
    checkpoint = load(Path(latest.path), latest.sha256) if latest else None
    step = checkpoint.step if checkpoint else 0
    store.reopen_run(run_id, host=host(), pid=os.getpid(), step=step)
    return _run(run_id, prepared, checkpoint, registry, store)


def evaluate(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    settings: EvaluationSettings,
    *,
    dataset: Dataset | None = None,
    dataset_name: str | None = None,
    algorithm: Mapping[str, Any] | None = None,
) -> EvaluationRow:
    """Evaluate a run on unseen episodes and store the result.

    `dataset` replaces the run's own; `algorithm` changes settings of its algorithm that
    matter after training (`test_steps`).
    """
    row = store.run(run_id)
    experiment = _with_algorithm(
        Experiment.from_dict(row.config, registry), registry, algorithm or {}
    )
    source = (dataset or experiment.dataset).open(settings.split)
    checkpoint = _checkpoint(store, row, settings.checkpoint)
    learner, meta = _trained(experiment, checkpoint, row)
    name = dataset_name or experiment.run.dataset
    tasks = evaluation_tasks(experiment, settings, name)
    _check_asked(learner, source, tasks[0])
    begun = time.perf_counter()
    records = list(
        evaluate_tasks(
            learner,
            meta,
            source,
            tasks,
            step=checkpoint.step,
            prediction=settings.prediction,
        )
    )
    new = evaluation_row(
        experiment,
        settings,
        learner,
        source,
        summarise(records),
        dataset=name,
        changes=algorithm,
        purpose="test",
        step=checkpoint.step,
        checkpoint=checkpoint.sha256,
        seconds=time.perf_counter() - begun,
    )
    return store.evaluation(store.record_evaluation(run_id, new, records))


def replay(episode_id: int, registry: Registry, store: TaskStore) -> Replay:
    """Draw a recorded episode again and predict its queries.

    The predictions are those of the run's best checkpoint, or its latest.
    """
    episode = store.episode(episode_id)
    row = store.run(episode.run_id)
    experiment = Experiment.from_dict(row.config, registry)
    task = episode.task
    own = task.dataset == experiment.run.dataset
    dataset: Dataset = (
        experiment.dataset if own else registry.create("dataset", task.dataset, {})
    )
    source = dataset.open(cast(Split, task.split))
    if episode.evaluation_id is not None:
        recorded = store.evaluation(episode.evaluation_id)
        _require_same_data(recorded.fingerprint, source)
        prediction = cast(Prediction, recorded.prediction)
    else:
        _require_same_data(row.environment.get("data"), source)
        prediction = "together"
    learner, meta = _trained(experiment, _checkpoint(store, row, "best"), row)
    episodes = source.draw([task])
    moved = episodes.to(learner.device)
    support = type(moved.support)(*(t[0] for t in moved.support))
    with torch.no_grad():
        adapted = learner.algorithm.adapt(learner.network, meta, support, task.ways)
        outputs = predict(
            learner, meta, adapted, support, moved.query.inputs[0], prediction
        )
        _, metrics = task_loss(outputs, moved.query.targets[0])
    classes: tuple[str, ...] = ()
    if episodes.classes is not None:
        classes = tuple(source.classes[c] for c in episodes.classes[0].tolist())
        outputs = outputs.argmax(-1)
    accuracy = float(metrics["accuracy"]) if "accuracy" in metrics else None
    return Replay(
        task, episodes, classes, outputs.tolist(), accuracy, float(metrics["loss"])
    )


def _prepare(experiment: Experiment) -> _Prepared:
    """Open the data, build the learner, and refuse now what cannot work."""
    device = choose_device(experiment.run.device)
    task, training = experiment.task, experiment.training
    sources: dict[str, Source] = {"train": experiment.dataset.open("train")}
    sources["train"].check(task.ways, task.shots, task.queries)
    problem = problem_of(sources["train"], task.ways)
    check_problem(experiment.algorithm, experiment.run.algorithm, problem)
    learner, meta = build_learner(
        experiment.algorithm, experiment.model, problem, device, experiment.run.seed
    )
    splits: list[Split] = [experiment.evaluation.split]
    if training.validate_every:
        splits.append("val")
    for split in splits:
        settings = experiment.evaluation.model_copy(update={"split": split})
        sources.setdefault(split, experiment.dataset.open(split))
        _check_asked(learner, sources[split], evaluation_tasks(experiment, settings)[0])
    return _Prepared(experiment, sources, learner, meta)


def _run(
    run_id: int,
    prepared: _Prepared,
    checkpoint: Checkpoint | None,
    registry: Registry,
    store: TaskStore,
) -> Outcome:
    """Train from `checkpoint` to the end, evaluate, and close the run's books."""
    experiment = prepared.experiment
    row = store.run(run_id)
    state = start(prepared.meta, experiment.training)
    info = RunInfo(
        id=run_id,
        name=row.name,
        experiment=row.config,
        directory=Path(row.directory),
        step=checkpoint.step if checkpoint else 0,
        iterations=experiment.training.iterations,
    )
    reporter = Reporter(info, store, registry.manager)
    session = Session(experiment, prepared.learner, state, prepared.sources, reporter)
    evaluation = None
    with heartbeat(store, run_id):
        try:
            reporter.started()
            if checkpoint:
                checkpoint.restore(state)
                session.best = checkpoint.header["best"]
                session.seconds = checkpoint.header["seconds"]
            session.learner = _mapped(session, checkpoint)
            store.update_run(run_id, mapping=str(session.learner.mapping))
            with interruptible() as interruption:
                status = session.train(interruption)
            if status == "completed":
                try:
                    evaluation = evaluate(
                        run_id, registry, store, experiment.evaluation
                    )
                except KeyboardInterrupt:
                    status = "interrupted"  # resuming has only this left to do
            figures = session.latest | _figures(evaluation)
            reporter.finished(status, figures, session.seconds)
        except BaseException as error:
            reporter.failed(error)
            raise
    return Outcome(
        run_id=run_id,
        status=status,
        step=state.step,
        metrics=figures,
        evaluation=evaluation,
        directory=info.directory,
        device=session.learner.device,
        mapping=str(session.learner.mapping),
    )


def _mapped(session: Session, checkpoint: Checkpoint | None) -> Learner:
    """The learner with its task map: that of the checkpoint, or the fastest."""
    if checkpoint:
        return replace(
            session.learner, mapping=TaskMap.parse(checkpoint.header["mapping"])
        )
    training = session.experiment.training
    maps = candidates(
        training.mapping, training.chunk, training.tasks, session.learner.device
    )
    best = choose_mapping(session.learner, session.state, maps, session.draw)
    return replace(session.learner, mapping=best)


def _trained(
    experiment: Experiment, checkpoint: Checkpoint, row: RunRow
) -> tuple[Learner, Meta]:
    """The learner of a run with the meta-parameters of a checkpoint."""
    device = choose_device(experiment.run.device)
    source = experiment.dataset.open("train")
    problem = problem_of(source, experiment.task.ways)
    learner, _ = build_learner(
        experiment.algorithm, experiment.model, problem, device, experiment.run.seed
    )
    mapping = TaskMap.parse(row.mapping or "loop")
    return replace(learner, mapping=mapping), checkpoint.meta(device)


def _checkpoint(store: TaskStore, row: RunRow, kind: str) -> Checkpoint:
    """The wanted checkpoint of a run; the latest where there is no best."""
    rows: dict[str, CheckpointRow] = {c.kind: c for c in store.checkpoints(row.id)}
    chosen = rows.get(kind) or rows.get("latest")
    if chosen is None:
        raise NotFoundError(
            f"run {row.id} has no checkpoint yet: it stopped before the first one"
        )
    return load(Path(chosen.path), chosen.sha256)


def _with_algorithm(
    experiment: Experiment, registry: Registry, changes: Mapping[str, Any]
) -> Experiment:
    if not changes:
        return experiment
    name = experiment.run.algorithm
    settings = {**experiment.algorithm.model_dump(), **changes}
    return replace(experiment, algorithm=registry.create("algorithm", name, settings))


def _check_asked(learner: Learner, source: Source, task: Task) -> None:
    """Refuse episodes that cannot be drawn, or that the learner cannot do."""
    source.check(task.ways, task.shots, task.queries)
    asked = problem_of(source, task.ways)
    trained = learner.problem
    if (asked.kind, asked.shape) != (trained.kind, trained.shape):
        raise UnsupportedError(
            f"{task.dataset} has {asked.kind} inputs of shape {asked.shape}, and the "
            f"run learned {trained.kind} on shape {trained.shape}: choose a data set "
            "like the one it was trained on"
        )
    learner.algorithm.check(trained, asked)


def _require_same_data(recorded: str | None, source: Source) -> None:
    if recorded is not None and recorded != source.fingerprint:
        raise DataError(
            f"the data have changed since they were recorded (fingerprint "
            f"{recorded[:12]}, now {source.fingerprint[:12]}): the same numbers would "
            "draw other episodes"
        )


def _figures(evaluation: EvaluationRow | None) -> dict[str, float]:
    """The figures of the final evaluation, by the names the run keeps them under."""
    if evaluation is None:
        return {}
    split = evaluation.split
    figures = {f"{split}_loss": evaluation.loss}
    if evaluation.accuracy is not None and evaluation.accuracy_ci95 is not None:
        figures[f"{split}_accuracy"] = evaluation.accuracy
        figures[f"{split}_accuracy_ci95"] = evaluation.accuracy_ci95
    return figures
