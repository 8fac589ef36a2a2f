"""A head on the vectors of a backbone: learns a task without a run that was trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..algorithm import Algorithm
from ..backbone import Backbone
from ..data.feature_encoder import FeatureEncoder
from ..encoder import Encoder, Form
from ..episode import Samples
from ..errors import UsageError
from ..events import EpisodeRecord
from ..experiment.registry import PluginType, Registry
from ..model import Model
from ..problem import Problem
from ..runs.provenance import environment, git_state, host
from ..runs.run_files import new_directory
from ..store import TaskStore
from ..store.records import NewEvaluation, NewRun
from ..training.device import choose_device
from ..training.learner import build_learner
from .adapted_model import AdaptedModel, ModelOrigin, adapt
from .examples import Item

Tables = Mapping[str, Mapping[str, Any]]
"""Settings by table and name."""

AUTO = "auto"
"""The head that does best on vectors of a backbone's kind."""

BEST: Mapping[Form, str] = {"file": "discriminant", "row": "logistic"}
"""Of pictures and of texts: by measurement, see docs/choosing.md."""

MODEL = "identity"
"""What is between the vectors and the head."""

LEAST = 2
"""Classes of a task; how many there will be is known when it is learned."""


@dataclass(frozen=True)
class BackboneRun:
    """A backbone and a head by their names, ready to adapt."""

    backbone: str
    head: str
    algorithm: Algorithm
    model: Model
    encoder: Encoder
    settings: Mapping[str, Any]
    """Tables of all three: what repeats it."""

    plugins: Mapping[str, str]
    """Distribution and version of each."""

    licence: str
    source: str
    """Of the backbone."""

    ways: None = None
    """A head learns any number of classes."""

    again: AdaptedModel | None = None
    """What learns the task anew, where that was learned before: by a head, or by a run
    that was trained on the backbone's vectors."""

    step: int = 0
    sha256: None = None
    """There is no checkpoint."""

    def __str__(self) -> str:
        return f"backbone {self.backbone}"

    @property
    def problem(self) -> Problem:
        """Classification of vectors."""
        return Problem("classification", self.encoder.shape, LEAST)

    @property
    def network(self) -> str:
        """The name of what is between the vectors and the head."""
        return MODEL if self.again is None else self.again.origin.model

    @property
    def identity(self) -> str:
        """NAME@HASH of what makes the vectors."""
        return f"{self.backbone}@{getattr(self.encoder, 'sha256', '')[:12]}"

    def require_encoder(self) -> Encoder:
        """The backbone's."""
        return self.encoder

    def adapt(
        self, support: Samples, classes: Sequence[str], items: Sequence[Item] = ()
    ) -> AdaptedModel:
        """Learn a task; see `metapipe.adaptation.adapted_model.adapt`."""
        problem = replace(self.problem, outputs=len(classes))
        if self.again is not None:
            known, origin = self.again, self.again.origin
            learner, meta = known.learner, known.meta
            if learner.algorithm.any_ways:
                learner = replace(learner, problem=problem)
            return adapt(learner, meta, support, classes, self.encoder, origin, items)
        device = choose_device("auto")
        learner, meta = build_learner(self.algorithm, self.model, problem, device, 0)
        origin = ModelOrigin(
            algorithm=self.head,
            model=MODEL,
            settings=self.settings,
            run=str(self),
            plugins=self.plugins,
            backbone=self.identity,
            licence=self.licence,
            source=self.source,
        )
        return adapt(learner, meta, support, classes, self.encoder, origin, items)

    def record(
        self,
        store: TaskStore,
        project: Path,
        new: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
    ) -> tuple[int, int]:
        """Keep an adaptation as a run of its own; returns the ids of run and
        evaluation."""
        figures = {"loss": new.loss, "accuracy": new.accuracy}
        known = {name: value for name, value in figures.items() if value is not None}
        judged = new.settings["judged"].replace("-", "_")
        return store.enter_run(
            self._new_run(project, new),
            new,
            episodes,
            metrics={f"{judged}_{name}": value for name, value in known.items()},
            train_seconds=new.seconds,
        )

    def _new_run(self, project: Path, new: NewEvaluation) -> NewRun:
        commit, dirty = git_state(project)
        device = choose_device("auto")
        chosen = {
            "algorithm": self.head,
            "model": self.network,
            "dataset": new.dataset,
            "backbone": self.backbone,
        }
        return NewRun(
            name=None,
            algorithm=self.head,
            model=self.network,
            dataset=new.dataset,
            seed=new.seed,
            ways=new.ways,
            shots=new.shots,
            queries=new.queries,
            iterations=0,
            config={"run": chosen, **self.settings},
            plugins=self.plugins,
            environment=environment(device),
            git_commit=commit,
            git_dirty=dirty,
            device=device,
            mapping=None,
            parent_id=None,
            directory=str(new_directory(project)),
            host=host(),
            pid=os.getpid(),
            fingerprint=new.fingerprint,
            problem=asdict(self.problem),
            encoder=self.encoder.model_dump(mode="json"),
            backbone=self.identity,
        )


def open_backbone(
    registry: Registry,
    name: str,
    head: str = AUTO,
    settings: Tables | None = None,
) -> BackboneRun:
    """A backbone with a head, ready to adapt; `settings` are tables `backbone` and
    `algorithm`.

    Raises UnknownNameError and SettingError, UsageError for a head that has to be
    trained, and DataError if the backbone lacks something.
    """
    given = {"backbone": {}, "algorithm": {}, **(settings or {})}
    head = head_of(registry, name, head)
    backbone: Backbone = registry.create("backbone", name, given["backbone"])
    algorithm: Algorithm = registry.create("algorithm", head, given["algorithm"])
    if algorithm.needs_training:
        raise UsageError(
            f"{head} has to be trained before it can adapt: choose a head that has not "
            f"({', '.join(heads(registry))}), or train a run and name it"
        )
    model: Model = registry.create("model", MODEL, {})
    parts = {"backbone": backbone, "algorithm": algorithm, "model": model}
    names: dict[PluginType, str] = {
        "backbone": name,
        "algorithm": head,
        "model": MODEL,
    }
    return BackboneRun(
        backbone=name,
        head=head,
        algorithm=algorithm,
        model=model,
        encoder=backbone.encoder(),
        settings={kind: part.model_dump(mode="json") for kind, part in parts.items()},
        plugins=registry.versions(names),
        licence=backbone.licence,
        source=backbone.source,
    )


def name_of(model: AdaptedModel) -> str:
    """The name of the backbone on whose vectors an adapted model was learned; empty if
    it was learned on others."""
    if isinstance(model.encoder, FeatureEncoder):
        return str(getattr(model.encoder, "type", ""))
    return (model.origin.backbone or "").partition("@")[0]


def reopened(registry: Registry, model: AdaptedModel) -> BackboneRun:
    """What an adapted model was learned by, as its file tells. Raises UsageError for a
    model of a run that learned on no vectors of a backbone."""
    origin, name = model.origin, name_of(model)
    if not name or model.encoder is None:
        raise UsageError(
            f"it was learned by {origin.run}, and keeps no vectors to be learned from "
            "again: adapt the run to all examples"
        )
    return BackboneRun(
        backbone=name,
        head=origin.algorithm,
        algorithm=model.learner.algorithm,
        model=registry.create("model", origin.model, origin.settings["model"]),
        encoder=model.encoder,
        settings=origin.settings,
        plugins=origin.plugins,
        licence=origin.licence or "",
        source=origin.source or "",
        again=model,
    )


def head_of(registry: Registry, backbone: str, head: str) -> str:
    """The name of the head that is meant. Raises UnknownNameError for a backbone that
    is not there."""
    if head != AUTO:
        return head
    chosen = cast("type[Backbone]", registry.entry("backbone", backbone).cls)
    return BEST[chosen.form]


def heads(registry: Registry) -> list[str]:
    """Names of the algorithms that need no training."""
    found = registry.entries("algorithm")
    return [e.name for e in found if not getattr(e.cls, "needs_training", True)]
