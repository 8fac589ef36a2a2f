"""Every method computes where its inputs are: on torch's `meta` device nothing is of
the CPU, and what is there has shapes and no values."""

import pytest
import torch
from gpus import OF_SAMPLES, Training

from metapipe import Meta
from metapipe.numerics import LocalTaskMap
from metapipe.training.evaluation import figures
from metapipe.training.execution import meta_step

ONE_TASK = {"training": {"tasks": 1, "validate_every": 0, "mapping": "loop"}}
READS_VALUES = {"maml++"}
"""It asks for the number of iterations done, which decides what it computes."""


@pytest.mark.parametrize("algorithm", sorted({*OF_SAMPLES} - READS_VALUES))
def test_meta_gradient_and_figures_are_computed_there(algorithm) -> None:
    training = Training(algorithm, "cpu", more=ONE_TASK)
    (drawn,) = training.draw(0)
    episodes = drawn.to("meta")
    training.learner.network.to("meta")
    params, state = (
        {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
        for tensors in (training.meta.params, training.meta.state)
    )
    meta = Meta(params, state)
    task_map = LocalTaskMap("loop")
    step = meta_step(training.learner, meta, episodes, task_map)
    with torch.no_grad():
        judged = figures(training.learner, meta, episodes, "together", task_map)
    found = {**step.gradients, **step.metrics, **step.state, **judged}
    assert {tensor.device.type for tensor in found.values()} == {"meta"}
