"""All that is fuzzed."""

from __future__ import annotations

from pathlib import Path

from commands import metapipe
from pictures import write_classes

from metapipe.experiment.registry import load
from metapipe.store import TaskStore

from .archives import ARCHIVES
from .experiments import assignments, projects
from .filters import filters
from .pictures import PICTURES
from .tables import TABLES
from .target import Target
from .tensor_files import adapted_models, checkpoints

TRAIN = (
    *("train", "--plugin", "protonet", "--dataset", "digits", "--iterations", "2"),
    *("-s", "model.width=4", "-s", "evaluation.episodes=5", "--validate-every", "0"),
    *("--tasks", "2", "--mapping", "loop", "--device", "cpu", "--ways", "3"),
)


def targets(folder: Path) -> list[Target]:
    """Of a project in which a tiny run was trained and adapted."""
    metapipe(*TRAIN, cwd=folder)
    (checkpoint,) = folder.glob(".metapipe/runs/*/latest*")
    write_classes(folder / "support", {"rose": 2, "tulip": 2, "dahlia": 2})
    metapipe("adapt", "1", "--support", "support", "--out", "a.metapipe", cwd=folder)
    registry = load()
    return [
        filters(TaskStore.open(f"sqlite:///{folder}/.metapipe/metapipe.db")),
        assignments(registry),
        projects(registry),
        adapted_models(registry, (folder / "a.metapipe").read_bytes()),
        checkpoints(registry, checkpoint.read_bytes()),
        ARCHIVES,
        TABLES,
        PICTURES,
    ]
