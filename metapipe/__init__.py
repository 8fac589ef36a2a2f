"""metapipe: the pipeline for meta-learning.

What a plugin needs is here and behind four more doors: `metapipe.numerics`,
`metapipe.data`, `metapipe.store` and `metapipe.testing`. Files below them may move.
Importing this module does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .algorithm import Algorithm, Meta, Step
from .dataset import Dataset, Source
from .encoder import Encoder
from .episode import Episodes, Metrics, Params, Samples, Task
from .errors import (
    DataError,
    MetapipeError,
    UnsupportedError,
    UsageError,
)
from .events import CheckpointInfo, EpisodeRecord, RunInfo
from .hookspecs import hookimpl
from .model import Model
from .plugin import DropShare, Plugin, Register
from .problem import Kind, Problem, Split, Statistics
from .version import __version__

if TYPE_CHECKING:
    from .adaptation.estimators import FewShotClassifier, FewShotRegressor
    from .training.weights import load_weights


_LATE = {
    "FewShotClassifier": "adaptation.estimators",
    "FewShotRegressor": "adaptation.estimators",
    "load_weights": "training.weights",
}
"""What needs torch or scikit-learn, by where it is: imported when asked for."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module 'metapipe' has no attribute '{name}'")


__all__ = [
    "Algorithm",
    "CheckpointInfo",
    "DataError",
    "Dataset",
    "DropShare",
    "Encoder",
    "EpisodeRecord",
    "Episodes",
    "FewShotClassifier",
    "FewShotRegressor",
    "Kind",
    "Meta",
    "MetapipeError",
    "Metrics",
    "Model",
    "Params",
    "Plugin",
    "Problem",
    "Register",
    "RunInfo",
    "Samples",
    "Source",
    "Split",
    "Statistics",
    "Step",
    "Task",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "hookimpl",
    "load_weights",
]
