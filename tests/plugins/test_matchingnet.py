"""Matching networks against scikit-learn and closed forms (algorithms.md 11.6)."""

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from metapipe import Meta, Samples
from metapipe.testing import AlgorithmContract, blobs
from metapipe_plugins.algorithms.matchingnet import MatchingNet
from metapipe_plugins.models.mlp import MLP


class TestMatchingNet(AlgorithmContract):
    algorithm = MatchingNet()


class TestMatchingNetWithNormalisation(AlgorithmContract):
    algorithm = MatchingNet()
    model = MLP(layers=(8,), normalise=True)


def logits(algorithm: MatchingNet, support: Samples, query: torch.Tensor):
    network, meta = nn.Flatten(), Meta({})
    adapted = algorithm.adapt(network, meta, support, 3)
    return algorithm.predict(network, meta, adapted, query)


def episode(shots: int = 3) -> tuple[Samples, torch.Tensor]:
    episodes = blobs(tasks=1, shots=shots, queries=20)
    noise = torch.randn(60, 6, dtype=torch.float64, generator=torch.manual_seed(0))
    support = Samples(*(t[0] for t in episodes.support))
    return support, episodes.query.inputs[0] + 2 * noise


def test_very_sharp_it_is_the_nearest_neighbour() -> None:
    support, query = episode()
    neighbour = KNeighborsClassifier(1, metric="cosine").fit(*support)
    got = logits(MatchingNet(sharpness=1e5), support, query).argmax(-1)
    assert got.tolist() == neighbour.predict(query).tolist()


def test_with_one_shot_it_is_a_softmax_of_cosines() -> None:
    support, query = episode(shots=1)
    cosines = torch.cosine_similarity(query[:, None], support.inputs[None], dim=-1)
    want = (10 * cosines).softmax(-1)
    got = logits(MatchingNet(), support, query).exp()
    torch.testing.assert_close(got[:, support.targets], want, atol=2e-6, rtol=0)


def test_shares_sum_to_one() -> None:
    got = logits(MatchingNet(), *episode()).exp().sum(-1)
    torch.testing.assert_close(got, torch.ones_like(got), atol=4e-6, rtol=0)
