"""Relation networks: symmetries of section 12.6, and the loss written out."""

import pytest
import torch
from torch.nn import functional as F

from metapipe import Problem, Samples
from metapipe.experiment.registry import load
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe.training_settings import TrainingSettings

REGISTRY = load()
RELATION = REGISTRY.create("algorithm", "relationnet", {})
CONV = REGISTRY.create(
    "model", "conv4", {"width": 4, "blocks": 2, "features": "maps", "pooling": "max"}
)


SQUARED = {"loss": "squared"}
"""The squared error is descended, cross-entropy is reported."""


class TestRelationNetOnVectors(AlgorithmContract):
    algorithm = RELATION
    inexact = SQUARED
    learning = TrainingSettings(iterations=200, tasks=4, lr=0.01)


class TestRelationNetOnMaps(AlgorithmContract):
    algorithm = REGISTRY.create("algorithm", "relationnet", {"loss": "cross-entropy"})
    inexact = SQUARED
    model = CONV
    shape = (1, 8, 8)
    learning = TrainingSettings(iterations=200, tasks=4, lr=0.01)


@pytest.fixture(params=[(TinyModel(), (6,)), (CONV, (1, 8, 8))], ids=["dense", "maps"])
def case(request):
    model, shape = request.param
    episodes = blobs(shape=shape)
    network = RELATION.build(model, Problem("classification", shape, 3, 12)).double()
    return network, RELATION.init(network), episodes


def test_classes_have_no_order(case):
    network, meta, episodes = case
    inputs, labels = (t[0] for t in episodes.support)
    query = episodes.query.inputs[0]
    order = torch.tensor([2, 0, 1])
    outputs = [
        RELATION.predict(
            network, meta, RELATION.adapt(network, meta, Samples(inputs, y), 3), query
        )
        for y in (labels, order[labels])
    ]
    torch.testing.assert_close(outputs[1][:, order], outputs[0])


def test_maps_of_a_class_are_summed(case):
    network, meta, episodes = case
    support = Samples(*(t[0] for t in episodes.support))
    once = RELATION.adapt(network, meta, support, 3)["classes"]
    twice = Samples(*(torch.cat([t, t]) for t in support))
    torch.testing.assert_close(
        RELATION.adapt(network, meta, twice, 3)["classes"], 2 * once
    )


def test_the_descended_loss_is_the_squared_error_of_relations():
    """With a network that has no batch statistics: task by task, by autograd."""
    episodes = blobs()
    network = RELATION.build(TinyModel(), Problem("classification", (6,), 3, 12))
    meta = RELATION.init(network.double())
    step = RELATION.meta_gradient(network, meta, episodes, LocalTaskMap("loop"))
    params = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    moving = type(meta)(params, meta.state)
    losses = []
    for number in range(len(episodes.tasks)):
        support = Samples(*(t[number] for t in episodes.support))
        adapted = RELATION.adapt(network, moving, support, 3)
        query, labels = (t[number] for t in episodes.query)
        relations = RELATION.predict(network, moving, adapted, query).sigmoid()
        assert ((relations > 0) & (relations < 1)).all()
        losses.append(((relations - F.one_hot(labels, 3)) ** 2).mean())
    grads = torch.autograd.grad(sum(losses) / len(losses), list(params.values()))
    for (name, found), want in zip(step.gradients.items(), grads, strict=True):
        torch.testing.assert_close(found, want, msg=name)
