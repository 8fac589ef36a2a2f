"""metapipe: the pipeline for meta-learning.

The commands are here as functions: `train`, `resume`, `sweep`, `evaluate`, `compare`,
`confusion`, `verify`, `delete`, `adapt`, `amend`, `embed`, `predict`.
What a plugin needs is here and behind four more doors: `metapipe.numerics`,
`metapipe.data`, `metapipe.store` and `metapipe.testing`. Files below them may move.
Importing this module does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .algorithm import (
    Algorithm,
    Group,
    Meta,
    Predict,
    Recurrent,
    Seen,
    Step,
    TaskMap,
)
from .backbone import Backbone
from .dataset import Arena, Dataset, Source, SourceFacts, Worlds
from .encoder import Encoder, Form, RegisterEncoder
from .episode import (
    Drawn,
    Episodes,
    Metrics,
    Params,
    Samples,
    Task,
    Trajectories,
)
from .errors import (
    DataError,
    MetapipeError,
    PathError,
    SettingError,
    UnsupportedError,
    UsageError,
)
from .events import CheckpointInfo, EpisodeRecord, EvaluationInfo, RunInfo
from .hookspecs import hookimpl
from .model import Model
from .observer import Observer
from .plugin import CONTRACT, DropShare, Plugin, Register
from .problem import Actions, Kind, Problem, Split, Statistics
from .version import __version__

if TYPE_CHECKING:
    from .adaptation.few_shot_classifier import FewShotClassifier
    from .adaptation.few_shot_regressor import FewShotRegressor
    from .adaptation.notebook import adapt, amend, embed, load_adapted, predict
    from .runs.html import as_html
    from .runs.notebook import (
        compare,
        confusion,
        delete,
        evaluate,
        replay,
        resume,
        sweep,
        train,
        verify,
    )
    from .runs.workspace import load_plugins
    from .store import TaskStore
    from .training.weights import load_weights

_LATE = {
    "FewShotClassifier": "adaptation.few_shot_classifier",
    "FewShotRegressor": "adaptation.few_shot_regressor",
    "TaskStore": "store",
    "adapt": "adaptation.notebook",
    "amend": "adaptation.notebook",
    "as_html": "runs.html",
    "compare": "runs.notebook",
    "confusion": "runs.notebook",
    "delete": "runs.notebook",
    "embed": "adaptation.notebook",
    "evaluate": "runs.notebook",
    "load_adapted": "adaptation.notebook",
    "load_plugins": "runs.workspace",
    "load_weights": "training.weights",
    "predict": "adaptation.notebook",
    "replay": "runs.notebook",
    "resume": "runs.notebook",
    "sweep": "runs.notebook",
    "train": "runs.notebook",
    "verify": "runs.notebook",
}
"""What is imported when it is asked for, and from where: it needs torch or a store."""


def __getattr__(name: str) -> Any:
    """One of those."""
    if name in _LATE:
        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module 'metapipe' has no attribute '{name}'")


def __dir__() -> list[str]:
    """What a notebook completes: what is still to be imported, too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "CONTRACT",
    "Actions",
    "Algorithm",
    "Arena",
    "Backbone",
    "CheckpointInfo",
    "DataError",
    "Dataset",
    "Drawn",
    "DropShare",
    "Encoder",
    "EpisodeRecord",
    "Episodes",
    "EvaluationInfo",
    "FewShotClassifier",
    "FewShotRegressor",
    "Form",
    "Group",
    "Kind",
    "Meta",
    "MetapipeError",
    "Metrics",
    "Model",
    "Observer",
    "Params",
    "PathError",
    "Plugin",
    "Predict",
    "Problem",
    "Recurrent",
    "Register",
    "RegisterEncoder",
    "RunInfo",
    "Samples",
    "Seen",
    "SettingError",
    "Source",
    "SourceFacts",
    "Split",
    "Statistics",
    "Step",
    "Task",
    "TaskMap",
    "TaskStore",
    "Trajectories",
    "UnsupportedError",
    "UsageError",
    "Worlds",
    "__version__",
    "adapt",
    "amend",
    "as_html",
    "compare",
    "confusion",
    "delete",
    "embed",
    "evaluate",
    "hookimpl",
    "load_adapted",
    "load_plugins",
    "load_weights",
    "predict",
    "replay",
    "resume",
    "sweep",
    "train",
    "verify",
]
