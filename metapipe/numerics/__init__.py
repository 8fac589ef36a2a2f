"""Functional calls, gradients, losses, heads: what algorithms compute with.

A door for plugin authors: import from here, files below may move.
"""

from .functional import (
    Loss,
    apply,
    descend,
    gradient,
    inner_loop,
    meta_of,
    normalisation_names,
    own,
    partition,
    within,
)
from .heads import Head, embed, head_step, require_same_outputs
from .losses import accuracy, batch_loss, before_adaptation, support_loss, task_loss
from .normalisation import BatchNorm, LayerNorm
from .task_map import TaskMap

__all__ = [
    "BatchNorm",
    "Head",
    "LayerNorm",
    "Loss",
    "TaskMap",
    "accuracy",
    "apply",
    "batch_loss",
    "before_adaptation",
    "descend",
    "embed",
    "gradient",
    "head_step",
    "inner_loop",
    "meta_of",
    "normalisation_names",
    "own",
    "partition",
    "require_same_outputs",
    "support_loss",
    "task_loss",
    "within",
]
