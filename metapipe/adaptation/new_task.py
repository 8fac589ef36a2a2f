"""What is asked for when a new task is to be learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ..errors import SettingError, did_you_mean
from ..experiment.options import Pairs, by_table
from ..training.evaluation import QueryMode
from .backbone_run import Tables
from .task_files import Unreadable

CHECKPOINTS = ("best", "latest")


@dataclass(frozen=True)
class NewTask:
    """Labelled files of a task, and how it is to be learned."""

    support: Path
    """A folder a class, or a table."""

    query: Path | None = None
    """Labelled files to be judged by."""

    checkpoint: str | None = None
    """Of the run: "best", unless told otherwise."""

    prediction: QueryMode = "alone"
    """Whether queries see each other's batch statistics."""

    settings: Tables = field(default_factory=dict)
    """By table: of the run's algorithm, to be changed; or of head and backbone."""

    backbone: str | None = None
    """With what to learn it instead of a run, and with which head."""

    head: str | None = None

    unreadable: Unreadable = "error"
    """Whether pictures that cannot be read are an error, or named and left out."""

    self_contained: bool = False
    """Whether the file of the model carries the weights of the backbone."""

    def require_known(self) -> None:
        """Raise SettingError for a checkpoint or a mode that is none."""
        for name, known in (
            ("checkpoint", CHECKPOINTS),
            ("prediction", get_args(QueryMode)),
        ):
            value = getattr(self, name)
            if value is not None and value not in known:
                hint = did_you_mean(str(value), known)
                raise SettingError(f"{name} = {value!r} is none of them; {hint}")


def tables_of(settings: Pairs, backbone: str | None) -> Tables:
    """The settings that can change for a new task. Raises SettingError for others."""
    tables = ("algorithm",) if backbone is None else ("algorithm", "backbone")
    return by_table(settings, tables, "adapting")
