"""Functional calls, gradients, losses, heads: what algorithms compute with.

A door for plugin authors: import from here, files below may move.
"""

from .attention import plain_attention
from .credit import (
    Credit,
    advantages,
    clipped_surrogate,
    discounted,
    linear_baseline,
    mean_of,
    rewards_to_go,
    standardised,
    surrogate,
    worth,
)
from .curvature import Linearised, linearised
from .functional import (
    Loss,
    apply,
    by_step,
    descend,
    gradient,
    inner_loop,
    normalisation_names,
    own,
    partition,
    within,
)
from .heads import Head, embed, head_step
from .losses import (
    accuracy,
    at_each_step,
    batch_loss,
    before_adaptation,
    query_loss,
    support_loss,
    task_loss,
)
from .normalisation import BatchNorm, GroupNorm, LayerNorm
from .policy import (
    GaussianPolicy,
    chosen,
    divergence,
    entropy,
    fisher,
    log_prob,
    policy,
)
from .precision import Precision, computing_in, exactly
from .recomputation import recomputing
from .returns import return_figures
from .steps import query_step
from .support_statistics import require_own_layers, support_statistics
from .task_map import LocalTaskMap
from .vectors import of_length_one

__all__ = [
    "BatchNorm",
    "Credit",
    "GaussianPolicy",
    "GroupNorm",
    "Head",
    "LayerNorm",
    "Linearised",
    "LocalTaskMap",
    "Loss",
    "Precision",
    "accuracy",
    "advantages",
    "apply",
    "at_each_step",
    "batch_loss",
    "before_adaptation",
    "by_step",
    "chosen",
    "clipped_surrogate",
    "computing_in",
    "descend",
    "discounted",
    "divergence",
    "embed",
    "entropy",
    "exactly",
    "fisher",
    "gradient",
    "head_step",
    "inner_loop",
    "linear_baseline",
    "linearised",
    "log_prob",
    "mean_of",
    "normalisation_names",
    "of_length_one",
    "own",
    "partition",
    "plain_attention",
    "policy",
    "query_loss",
    "query_step",
    "recomputing",
    "require_own_layers",
    "return_figures",
    "rewards_to_go",
    "standardised",
    "support_loss",
    "support_statistics",
    "surrogate",
    "task_loss",
    "within",
    "worth",
]
