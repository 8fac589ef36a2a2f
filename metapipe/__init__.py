"""metapipe: the pipeline for meta-learning.

Everything a plugin needs is here, in `metapipe.functional` (the numerical core),
`metapipe.mapping`, `metapipe.sampling`, `metapipe.bank`, `metapipe.classification`,
`metapipe.download` and `metapipe.testing`. Importing this module does not import torch.
"""

from .contracts import (
    Algorithm,
    Dataset,
    Kind,
    Meta,
    Model,
    Plugin,
    Problem,
    Register,
    Source,
    Split,
    Statistics,
    Step,
)
from .episode import EpisodeRecord, Episodes, Metrics, Params, Samples, Task
from .errors import (
    DataError,
    MetapipeError,
    UnsupportedError,
    UsageError,
)
from .events import CheckpointInfo, RunInfo
from .hookspecs import hookimpl

__version__ = "0.1.0"

__all__ = [
    "Algorithm",
    "CheckpointInfo",
    "DataError",
    "Dataset",
    "EpisodeRecord",
    "Episodes",
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
    "hookimpl",
]
