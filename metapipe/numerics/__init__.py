"""Functional calls, gradients, losses, heads: what algorithms compute with.

A door for plugin authors: import from here, files below may move.
"""

from .attention import plain_attention
from .functional import (
    Loss,
    apply,
    descend,
    gradient,
    inner_loop,
    normalisation_names,
    own,
    partition,
    within,
)
from .heads import Head, embed, head_step
from .losses import accuracy, batch_loss, before_adaptation, support_loss, task_loss
from .normalisation import BatchNorm, GroupNorm, LayerNorm
from .precision import Precision, computing_in
from .steps import query_step
from .support_statistics import require_own_layers, support_statistics
from .task_map import LocalTaskMap
from .vectors import of_length_one

__all__ = [
    "BatchNorm",
    "GroupNorm",
    "Head",
    "LayerNorm",
    "LocalTaskMap",
    "Loss",
    "Precision",
    "accuracy",
    "apply",
    "batch_loss",
    "before_adaptation",
    "computing_in",
    "descend",
    "embed",
    "gradient",
    "head_step",
    "inner_loop",
    "normalisation_names",
    "of_length_one",
    "own",
    "partition",
    "plain_attention",
    "query_step",
    "require_own_layers",
    "support_loss",
    "support_statistics",
    "task_loss",
    "within",
]
