"""Matching networks against scikit-learn and closed forms (algorithms.md 11.6)."""

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from metapipe import Meta, Samples
from metapipe.testing import AlgorithmContract, blobs
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.matchingnet import MatchingNet
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.parts.networks.full_context import QueryContext, SupportContext


class TestMatchingNet(AlgorithmContract):
    algorithm = MatchingNet()


class TestMatchingNetWithNormalisation(AlgorithmContract):
    algorithm = MatchingNet()
    model = MLP(layers=(8,), normalise=True)


class TestMatchingNetInContext(AlgorithmContract):
    algorithm = MatchingNet(context=3)
    learning = TrainingSettings(iterations=200, tasks=4, lr=0.01)


class TestMatchingNetInContextWithNormalisation(AlgorithmContract):
    algorithm = MatchingNet(context=3)
    model = MLP(layers=(8,), normalise=True)
    learning = TrainingSettings(iterations=200, tasks=4, lr=0.01)


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


def test_permuting_labels_permutes_logits() -> None:
    support, query = episode()
    order = torch.tensor([2, 0, 1])
    renamed = support._replace(targets=order[support.targets])
    before = logits(MatchingNet(), support, query)
    after = logits(MatchingNet(), renamed, query)
    torch.testing.assert_close(after[:, order], before, rtol=1e-12, atol=1e-14)


def torchs(cell, theirs, suffix="") -> None:
    """Give torch's LSTM the weights of our cell."""
    for name, value in (
        ("weight_ih", cell.inputs.weight),
        ("weight_hh", cell.hidden.weight),
        ("bias_ih", cell.inputs.bias),
        ("bias_hh", torch.zeros_like(cell.inputs.bias)),
    ):
        getattr(theirs, name + suffix).data.copy_(value)


def test_the_support_reads_itself_as_torchs_lstm_does() -> None:
    torch.manual_seed(0)
    ours = SupportContext(6)
    theirs = nn.LSTM(6, 6, bidirectional=True, batch_first=True)
    torchs(ours.onwards, theirs, "_l0")
    torchs(ours.backwards, theirs, "_l0_reverse")
    features = torch.randn(4, 7, 6)
    both = theirs(features)[0]
    want = features + both[..., :6] + both[..., 6:]
    torch.testing.assert_close(ours(features), want)


def test_queries_read_the_support_as_torchs_cell_does() -> None:
    torch.manual_seed(0)
    ours, theirs = QueryContext(6, 3), nn.LSTMCell(12, 6)
    torchs(ours.cell, theirs)
    features, support = torch.randn(5, 6), torch.randn(7, 6)
    hidden, cell = features, torch.zeros(5, 6)
    for _ in range(3):
        read = (hidden @ support.T).softmax(-1) @ support
        hidden, cell = theirs(torch.cat([features, read], -1), (hidden, cell))
        hidden = hidden + features
    torch.testing.assert_close(ours(features, support), hidden)
