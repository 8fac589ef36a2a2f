"""An experiment: everything that decides a run, resolved and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from ..algorithm import Algorithm
from ..dataset import Dataset
from ..errors import SettingError, UsageError
from ..model import Model
from ..plugin import table_of
from ..section import Section
from ..settings import EvaluationSettings, RunSettings, TaskSettings
from ..training_settings import TrainingSettings
from .missing import telling_origins
from .registry import RUN_TYPES, PluginType, Registry
from .setting_errors import first_error

SECTIONS: Mapping[str, type[Section]] = {
    "run": RunSettings,
    "task": TaskSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
}
"""The tables of the config file that belong to no plugin."""


@dataclass(frozen=True)
class Experiment:
    """What to run: the same experiment gives the same run."""

    run: RunSettings
    task: TaskSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    algorithm: Algorithm
    model: Model
    dataset: Dataset
    observers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Who is told of it, by name, with the settings of each: as they are kept, since
    an observer that is gone by now hinders nobody."""

    @property
    def chosen(self) -> dict[PluginType, str]:
        """Names of its plugins."""
        return {kind: getattr(self.run, kind) for kind in RUN_TYPES}

    @property
    def kept_best(self) -> int:
        """How many checkpoints are kept as the best."""
        return max(self.training.keep_best, self.evaluation.ensemble)

    def to_dict(self) -> dict[str, Any]:
        """All settings by table, JSON-able: what the store keeps."""
        tables = {
            name: BaseModel.model_dump(getattr(self, name), mode="json")
            for name in (*SECTIONS, *RUN_TYPES)
        }
        told = {table_of("observer", k): dict(v) for k, v in self.observers.items()}
        return {**tables, **told}

    def unobserved(self) -> Self:
        """The same, and nobody is told."""
        run = self.run.model_copy(update={"observers": ()})
        return replace(self, run=run, observers={})

    def with_algorithm(self, registry: Registry, changes: Mapping[str, Any]) -> Self:
        """The same with some settings of the algorithm changed."""
        if not changes:
            return self
        settings = {**self.algorithm.model_dump(), **changes}
        algorithm = registry.create("algorithm", self.run.algorithm, settings)
        return replace(self, algorithm=algorithm)

    @classmethod
    def from_dict(
        cls,
        tables: Mapping[str, Mapping[str, Any]],
        registry: Registry,
        origins: Mapping[str, str] | None = None,
    ) -> Self:
        """The inverse of `to_dict`.

        `origins` tells by dotted name where a value was given, for the messages of
        SettingError and UnknownNameError. Raises UsageError for the tables of a head
        on a backbone, which is no experiment.
        """
        if not isinstance(tables, Mapping):
            raise SettingError(f"{tables!r} is no experiment, which is tables by name")
        if "backbone" in tables:
            raise UsageError(
                "this run trained nothing, it is a head on the vectors of a backbone: "
                "repeat it with metapipe adapt --backbone NAME, or name a trained run"
            )
        origins = origins or {}
        for name, values in tables.items():
            if not isinstance(values, Mapping):
                raise SettingError(f"[{name}] is no table of settings: {values!r}")
        sections = {
            name: _section(name, tables.get(name, {}), origins) for name in SECTIONS
        }
        run = sections["run"]
        plugins = {
            kind: registry.create(
                kind, getattr(run, kind), tables.get(kind, {}), origins
            )
            for kind in RUN_TYPES
        }
        observers = {
            name: tables.get(table_of("observer", name), {}) for name in run.observers
        }
        return cls(**sections, **plugins, observers=observers)

    @classmethod
    def recorded(
        cls,
        config: Mapping[str, Any],
        plugins: Mapping[str, str],
        registry: Registry,
    ) -> Self:
        """That of a run, of what its row keeps. Raises UnknownNameError for a plugin
        that is not here, with where it came from; and what `from_dict` raises."""
        with telling_origins(plugins, registry):
            return cls.from_dict(config, registry)


def _section(name: str, values: Mapping[str, Any], origins: Mapping[str, str]) -> Any:
    try:
        return SECTIONS[name].model_validate(dict(values))
    except ValidationError as error:
        message = first_error(error, SECTIONS[name], name, origins)
        raise SettingError(message) from error
