"""metapipe: the pipeline for meta-learning.

What a plugin needs is here and behind four more doors: `metapipe.numerics`,
`metapipe.data`, `metapipe.store` and `metapipe.testing`. Files below them may move.
Importing this module does not import torch.
"""

from typing import TYPE_CHECKING, Any

from .algorithm import Algorithm, Group, Meta, Predict, Step, TaskMap
from .dataset import Dataset, Source, SourceFacts
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
from .plugin import CONTRACT, DropShare, Plugin, Register
from .problem import Kind, Problem, Split, Statistics
from .version import __version__

if TYPE_CHECKING:
    from .adaptation.estimators import FewShotClassifier, FewShotRegressor


def __getattr__(name: str) -> Any:
    """The estimators, imported when asked for: they need torch and scikit-learn."""
    if name in ("FewShotClassifier", "FewShotRegressor"):
        from .adaptation import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'metapipe' has no attribute '{name}'")


__all__ = [
    "CONTRACT",
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
    "Group",
    "Kind",
    "Meta",
    "MetapipeError",
    "Metrics",
    "Model",
    "Params",
    "Plugin",
    "Predict",
    "Problem",
    "Register",
    "RunInfo",
    "Samples",
    "Source",
    "SourceFacts",
    "Split",
    "Statistics",
    "Step",
    "Task",
    "TaskMap",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "hookimpl",
]
