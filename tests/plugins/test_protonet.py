"""Prototypical networks against scikit-learn, and exact identities (10.6, 23.2)."""

import pytest
import torch
from sklearn.neighbors import NearestCentroid
from torch import nn

from metapipe import Meta, Problem, Samples
from metapipe.numerics.functional import apply
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import blobs
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.parts.heads.prototypes import prototypes, squared_distances

SHAPE = (1, 12, 12)


@pytest.fixture(scope="module")
def learned():
    problem = Problem("classification", SHAPE, 4)
    model = Conv4(width=6, blocks=2, pooling="max", features="flatten", scale=True)
    learner, _ = build_learner(ProtoNet(), model, problem, "cpu", seed=0)
    learner.network.double()
    return learner, learner.algorithm.init(learner.network)


@pytest.fixture(scope="module")
def episode():
    drawn = blobs(1, ways=4, shots=3, queries=6, shape=SHAPE)
    return tuple(
        Samples(*(t[0] for t in part)) for part in (drawn.support, drawn.query)
    )


def predicted(learned, support, inputs, ways=4):
    learner, meta = learned
    adapted = learner.algorithm.adapt(learner.network, meta, support, ways)
    return learner.algorithm.predict(learner.network, meta, adapted, inputs)


# ReLU features that are zero throughout are no concern of a nearest mean
@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
def test_predictions_are_scikit_learns_nearest_centroids(learned, episode) -> None:
    learner, meta = learned
    support, query = episode
    features = [
        apply(learner.network, meta.params, s.inputs, state=meta.state).numpy()
        for s in (support, query)
    ]
    nearest = NearestCentroid().fit(features[0], support.targets.numpy())
    ours = predicted(learned, support, query.inputs).argmax(-1)
    assert ours.tolist() == nearest.predict(features[1]).tolist()


def test_distances_are_torchs() -> None:
    a, b = torch.randn(3, 7, 5).double(), torch.randn(3, 4, 5).double()
    torch.testing.assert_close(squared_distances(a, b), torch.cdist(a, b) ** 2)


def test_prototypes_of_unequal_classes_are_their_means() -> None:
    features = torch.randn(6, 5).double()
    labels = torch.tensor([2, 0, 0, 2, 2, 1])
    means = prototypes(features, labels, 3)
    for label in range(3):
        torch.testing.assert_close(means[label], features[labels == label].mean(0))


def test_permuting_labels_permutes_logits_exactly(learned, episode) -> None:
    support, query = episode
    order = torch.tensor([2, 0, 3, 1])
    renamed = Samples(support.inputs, order[support.targets])
    before = predicted(learned, support, query.inputs)
    after = predicted(learned, renamed, query.inputs)
    assert torch.equal(after[:, order], before)


def test_each_query_is_on_its_own(learned, episode) -> None:
    support, query = episode
    whole = predicted(learned, support, query.inputs)
    part = predicted(learned, support, query.inputs[3:5])
    torch.testing.assert_close(part, whole[3:5], rtol=1e-12, atol=1e-12)


def test_training_moves_the_running_statistics_and_only_a_copy(learned) -> None:
    learner, meta = learned
    drawn = blobs(2, ways=4, shots=3, queries=6, shape=SHAPE)
    step = learner.algorithm.meta_gradient(
        learner.network, meta, drawn, LocalTaskMap("loop")
    )
    name = next(k for k in meta.state if k.endswith("running_mean"))
    assert not torch.equal(step.state[name], meta.state[name])
    assert torch.equal(meta.state[name], torch.zeros_like(meta.state[name]))


def test_two_prototypes_alike_are_equally_likely() -> None:
    protonet, network = ProtoNet(), nn.Flatten()
    inputs = torch.tensor([[1.0, 2], [1, 2]], dtype=torch.float64)
    support = Samples(inputs, torch.tensor([0, 1]))
    adapted = protonet.adapt(network, Meta({}), support, 2)
    query = torch.randn(5, 2, dtype=torch.float64)
    shares = protonet.predict(network, Meta({}), adapted, query).softmax(-1)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.5))
