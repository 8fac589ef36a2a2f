"""A new task of labelled files: learned, judged, and kept in the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.names import readable_name
from ..errors import UsageError
from ..experiment.registry import PluginType
from ..experiment.written import typed
from ..runs.stored_run import trained_run
from ..runs.workspace import Workspace
from ..training.evaluation import QueryMode
from .adaptable import Adaptable
from .adapted_file import carried_by, save
from .adapted_model import AdaptedModel
from .backbone_run import AUTO, Tables, head_of, open_backbone
from .examples import Examples, each_once
from .judgement import Judgement, evaluation_of, judge, judge_held_out
from .new_task import NewTask
from .repeats import tell_repeats
from .task_files import read_examples, require_ways
from .trained_run import open_run
from .trust import Trust

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Mislabelled:
    """An example that is perhaps mislabelled: held out, it was taken for another."""

    name: str
    taken_for: str
    confidence: float


@dataclass(frozen=True)
class Adaptation:
    """A new task that was learned, and how well."""

    run: int
    """Whose it is; its own, if it was learned without one."""

    evaluation: int
    """Its number in the task store."""

    model: AdaptedModel
    counts: Mapping[str, int]
    """How many support examples there were of each class; empty for regression."""

    support: Judgement
    query: Judgement | None
    mislabelled: Sequence[Mislabelled]
    """Examples whose labels are in question, the most so first."""

    prediction: QueryMode
    transductive: bool
    seconds: float
    out: Path | None
    """Where the model was written to."""

    @property
    def trust(self) -> Trust | None:
        """What its own examples tell of it, each predicted alone; None if that cannot
        be known."""
        return self.model.trust


def adapt_run(
    workspace: Workspace,
    run: int | str | None,
    task: NewTask,
    out: Path | None = None,
) -> Adaptation:
    """Learn a task from its support set, judge by its queries, and record it as an
    evaluation of the run, or with a backbone as a run of its own; the adapted model is
    written to `out`.

    Raises DataError for files that cannot be read or are no task, and UsageError unless
    there is either a run or a backbone, or if the run does not know how files become
    inputs.
    """
    begun = time.perf_counter()
    task.require_known()
    task = _typed(workspace, run, task)
    adaptable = _opened(workspace, run, task)
    if task.query is not None and task.query.resolve() == task.support.resolve():
        logger.warning("the queries are the support set: what was learned is no test")
    support, query = _read(task, adaptable)
    learned = Learned(
        adaptable,
        support,
        query,
        task.prediction,
        readable_name(task.support.resolve().name),
        _record(task, support.counts if support.classes else {}),
        task.self_contained,
    )
    return learned.kept(workspace, out, begun)


@dataclass(frozen=True)
class Learned:
    """What is to be learned from which examples, and how that is recorded."""

    adaptable: Adaptable
    support: Examples
    query: Examples | None
    prediction: QueryMode
    dataset: str
    """What the examples are called in the store."""

    settings: Mapping[str, Any]
    """What the store keeps beside that."""

    self_contained: bool = False

    def kept(self, workspace: Workspace, out: Path | None, begun: float) -> Adaptation:
        """Learned, judged, written to `out`, and recorded; it began at that time of the
        performance counter."""
        examples = self.support
        model = self.adaptable.adapt(examples.samples, examples.classes, examples.items)
        model = replace(model, carries_weights=self.self_contained)
        if self.self_contained:
            carried_by(model)
        on_support = judge(model, examples.samples, self.prediction)
        on_query = (
            None
            if self.query is None
            else judge(model, self.query.samples, self.prediction)
        )
        by, judged = _judged(model, on_support, on_query, self.prediction)
        seconds = time.perf_counter() - begun
        new, episodes = evaluation_of(
            self.adaptable,
            model,
            judged,
            self.prediction,
            self.dataset,
            {**self.settings, "judged": by},
            seconds,
        )
        model = model.with_judgement({"by": by, **judged.figures})
        if out is not None:
            save(model, out)
        number, evaluation = self.adaptable.record(
            workspace.new_store, workspace.project.directory, new, episodes
        )
        return Adaptation(
            run=number,
            evaluation=evaluation,
            model=model,
            counts=examples.counts if examples.classes else {},
            support=on_support,
            query=on_query,
            mislabelled=_mislabelled(model, examples),
            prediction=self.prediction,
            transductive=new.transductive,
            seconds=seconds,
            out=out,
        )


def _judged(
    model: AdaptedModel,
    on_support: Judgement,
    on_query: Judgement | None,
    prediction: QueryMode,
) -> tuple[str, Judgement]:
    """By what it is judged best, and how: queries are better than examples of its own,
    and of those ones that were held out."""
    if on_query is not None:
        return "query", on_query
    if model.trust is None or model.learner.transductive(prediction):
        return "support", on_support
    return "held-out", judge_held_out(model.trust)


def _mislabelled(model: AdaptedModel, examples: Examples) -> list[Mislabelled]:
    suspects = () if model.trust is None else model.trust.suspects
    names = [item.name for item in examples.items] or examples.names
    return [
        Mislabelled(names[s.place], model.classes[s.taken_for], s.confidence)
        for s in suspects
    ]


def _opened(workspace: Workspace, run: int | str | None, task: NewTask) -> Adaptable:
    """The run, or the head on a backbone: exactly one is asked for."""
    if (run is None) == (task.backbone is None):
        raise UsageError("give either a run or a backbone: RUN, or --backbone NAME")
    if run is not None:
        if task.head is not None:
            raise UsageError("a head goes with a backbone: a run has its algorithm")
        changes = task.settings.get("algorithm", {})
        which = task.checkpoint or "best"
        return open_run(workspace.store, workspace.registry, run, which, changes)
    assert task.backbone is not None
    if task.checkpoint is not None:
        raise UsageError("a checkpoint is of a run, and with a backbone there is none")
    return open_backbone(
        workspace.registry, task.backbone, task.head or AUTO, task.settings
    )


def _typed(workspace: Workspace, run: int | str | None, task: NewTask) -> NewTask:
    """The task with its settings as the plugins that they are of mean them."""
    if not any(task.settings.values()) or (run is None) == (task.backbone is None):
        return task
    if run is not None:
        names = {"algorithm": trained_run(workspace.store, run).algorithm}
    else:
        backbone = task.backbone or ""
        head = head_of(workspace.registry, backbone, task.head or AUTO)
        names = {"algorithm": head, "backbone": backbone}
    kinds: tuple[PluginType, ...] = ("algorithm", "backbone")
    settings: Tables = {
        kind: typed(
            kind,
            task.settings[kind],
            workspace.registry.entry(kind, names[kind]).cls,
        )
        for kind in kinds
        if kind in task.settings
    }
    return replace(task, settings=settings)


def _read(task: NewTask, adaptable: Adaptable) -> tuple[Examples, Examples | None]:
    """Support set, and queries of its classes."""
    encoder, kind = adaptable.require_encoder(), adaptable.problem.kind
    support = read_examples(task.support, encoder, kind, unreadable=task.unreadable)
    if encoder.form == "file":
        support = each_once(support)
    require_ways(support, task.support)
    if task.query is None:
        tell_repeats(support, None)
        return support, None
    query = read_examples(
        task.query, encoder, kind, support.classes or None, task.unreadable
    )
    same = task.query.resolve() == task.support.resolve()
    tell_repeats(support, None if same else query)
    return support, query


def _record(task: NewTask, counts: Mapping[str, int]) -> dict[str, Any]:
    """What the store keeps of the task."""
    return {
        "support": readable_name(task.support.resolve()),
        "query": task.query and readable_name(task.query.resolve()),
        "classes": counts,
        **task.settings,
    }
