"""Three-way tasks for a smooth network in double precision."""

import torch
from torch import nn

from metapipe import Episodes, Meta, Samples, Task
from metapipe.numerics.task_map import LocalTaskMap
from metapipe_plugins.models.mlp import MLP

LOOP = LocalTaskMap("loop")


def classification(tasks: int = 2) -> tuple[nn.Module, Meta, Episodes]:
    """Three-way tasks for a smooth network in double precision."""
    torch.manual_seed(0)
    network = MLP(layers=(6,), activation="tanh").build((4,), 3, "batch").double()

    def samples(each: int) -> Samples:
        labels = torch.arange(3).repeat_interleave(each).repeat(tasks, 1)
        return Samples(torch.randn(tasks, 3 * each, 4, dtype=torch.float64), labels)

    recipes = tuple(Task("none", "train", 0, i, 3, 2, 4) for i in range(tasks))
    return network, Meta.of(network), Episodes(recipes, samples(2), samples(4))
