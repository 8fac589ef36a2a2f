"""SNAIL: causality, receptive field, channels, and what is computed once."""

import pytest
import torch
import torch.nn.functional as F

from metapipe import Problem, Samples, UnsupportedError
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, blobs
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.snail import SNAIL, unlabelled
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.parts.networks.temporal import (
    AttentionBlock,
    DenseBlock,
    Snail,
    TCBlock,
)

DOUBLE = torch.float64
GENTLY = TrainingSettings(iterations=100, tasks=4, lr=0.003)


class TestSNAIL(AlgorithmContract):
    algorithm = SNAIL(embedding=8, filters=8)
    reports_adapted = False  # training shuffles the support set
    learning = GENTLY


class TestSNAILWithNormalisationAndRandomShots(AlgorithmContract):
    algorithm = SNAIL(embedding=8, filters=8, random_shots=True)
    model = MLP(layers=(8,), normalise=True)
    learning = GENTLY


def nothing(like: torch.Tensor) -> torch.Tensor:
    return like[..., :0, :]


def blocks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [TCBlock(6, 10, 4, False).to(DOUBLE), AttentionBlock(6, 5, 4).to(DOUBLE)]


@pytest.mark.parametrize("number", [0, 1])
def test_the_future_is_not_seen(number) -> None:
    block, sequence = blocks()[number], torch.randn(10, 6, dtype=DOUBLE)
    out, _ = block(sequence, nothing(sequence))
    for position in range(10):
        changed = sequence.clone()
        changed[position] += 1
        other, _ = block(changed, nothing(changed))
        assert torch.equal(other[:position], out[:position])
        assert not torch.equal(other[position:], out[position:])


def test_what_attention_reads_is_a_mean() -> None:
    """Weights of each position sum to 1: of values that are all alike, it reads one."""
    block = AttentionBlock(6, 5, 4).to(DOUBLE)
    torch.nn.init.zeros_(block.value.weight)
    support, query = (3 * torch.randn(2, n, 6, dtype=DOUBLE) for n in (9, 5))
    for out in block(support, query):
        want = block.value.bias.expand_as(out[..., 6:])
        torch.testing.assert_close(out[..., 6:], want, rtol=1e-12, atol=1e-12)


def test_attention_is_that_of_torch() -> None:
    """By keys and values themselves, which ours does not make, and with a bias of keys,
    which does nothing; the scores are scaled by the keys' number, not the inputs'."""
    torch.manual_seed(0)
    block, biased = AttentionBlock(6, 5, 4).to(DOUBLE), torch.nn.Linear(6, 5).to(DOUBLE)
    biased.weight = block.key.weight
    sequence = torch.randn(2, 9, 6, dtype=DOUBLE)
    parts = block.question(sequence), biased(sequence), block.value(sequence)
    read = F.scaled_dot_product_attention(*parts, is_causal=True)
    want = torch.cat([sequence, read], -1)
    out, _ = block(sequence, nothing(sequence))
    torch.testing.assert_close(out, want, rtol=0, atol=1e-12)
    past = torch.cat([sequence[:, :5], torch.randn(2, 5, 3, dtype=DOUBLE)], -1)
    later = block.follow(past, sequence[:, 5:])  # of the past its own channels
    torch.testing.assert_close(later, want[:, 5:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("parts", [[11], [1, 4, 6], [1] * 11])
def test_a_dense_block_is_a_dilated_convolution(parts) -> None:
    """Of torch, before the gate, however the sequence comes."""
    torch.manual_seed(0)
    block, whole = DenseBlock(6, 4, 3).to(DOUBLE), torch.randn(2, 11, 6, dtype=DOUBLE)
    kernel = torch.stack([block.before.weight, block.now.weight], -1)
    padded = F.pad(whole.mT, (3, 0))
    filtered, gate = F.conv1d(padded, kernel, block.now.bias, dilation=3).chunk(2, 1)
    want = torch.cat([whole, (filtered.tanh() * gate.sigmoid()).mT], -1)
    past, found = whole.new_zeros(2, 0, 10), []
    for steps in whole.split(parts, 1):
        found.append(block.follow(past, steps))
        past = torch.cat([past, found[-1]], 1)
    torch.testing.assert_close(torch.cat(found, 1), want, rtol=0, atol=1e-12)
    torch.testing.assert_close(block(whole, nothing(whole))[0], want)


def test_the_stack_is_causal_and_gradients_do_not_run_back() -> None:
    stack = Snail(6, 3, 10, 4, False).to(DOUBLE)
    sequence = torch.randn(10, 6, dtype=DOUBLE, requires_grad=True)
    out, _ = stack.streams(sequence, nothing(sequence))
    for position in (0, 4, 9):
        (grad,) = torch.autograd.grad(out[position].sum(), sequence, retain_graph=True)
        assert not grad[position + 1 :].any()
        assert grad[: position + 1].any(-1).all()


@pytest.mark.parametrize("literal", [False, True])
def test_the_last_position_sees_every_lag(literal) -> None:
    """With the paper's literal dilations only the even ones."""
    block = TCBlock(2, 9, 4, literal).to(DOUBLE)
    sequence = torch.randn(9, 2, dtype=DOUBLE, requires_grad=True)
    out, _ = block(sequence, nothing(sequence))
    (grad,) = torch.autograd.grad(out[-1].sum(), sequence)
    seen = grad.any(-1).flip(0).tolist()
    assert seen == [not literal or lag % 2 == 0 for lag in range(9)]


def test_queries_together_are_whole_sequences_one_by_one() -> None:
    stack = Snail(6, 3, 16, 4, False).to(DOUBLE)
    support, query = (torch.randn(2, n, 6, dtype=DOUBLE) for n in (7, 5))
    logits = stack(support, query)
    for number in range(5):
        sequence = torch.cat([support, query[:, number : number + 1]], -2)
        out, _ = stack.streams(sequence, nothing(sequence))
        assert torch.allclose(stack.head(out[:, -1]), logits[:, number], atol=1e-10)


def test_a_query_alone_is_a_sequence_of_one() -> None:
    stack = Snail(6, 3, 16, 4, False)
    out = stack(torch.zeros(0, 6), torch.randn(2, 6))
    assert out.shape == (2, 3)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize(
    ("ways", "shots", "channels"),
    [
        (5, 1, [69, 101, 485, 613, 997, 1253]),
        (5, 5, [69, 101, 741, 869, 1509, 1765]),
        (20, 1, [84, 116, 756, 884, 1524, 1780]),
        (20, 5, [84, 116, 1012, 1140, 2036, 2292]),
    ],
)
def test_the_references_channels(ways, shots, channels) -> None:
    with torch.device("meta"):
        stack = Snail(64 + ways, ways, ways * shots + 1, 128, False)
    parts = (stack.attention1, stack.tc1, stack.attention2, stack.tc2, stack.attention3)
    assert [stack.attention1.key.in_features, *(p.outside for p in parts)] == channels


def test_the_query_has_no_label() -> None:
    assert not unlabelled(torch.ones(4, 3), 5)[:, 3:].any()


def test_changing_the_querys_label_changes_nothing_but_the_loss() -> None:
    algorithm, episodes = SNAIL(embedding=8, filters=8), blobs()
    problem = Problem("classification", (6,), 3)
    network = algorithm.build(MLP(layers=(8,)), problem).double()
    meta = algorithm.init(network)
    support = type(episodes.support)(*(t[0] for t in episodes.support))
    adapted = algorithm.adapt(network, meta, support, 3)
    first = algorithm.predict(network, meta, adapted, episodes.query.inputs[0])
    relabelled = support._replace(targets=(support.targets + 1) % 3)
    other = algorithm.adapt(network, meta, relabelled, 3)
    second = algorithm.predict(network, meta, other, episodes.query.inputs[0])
    assert not torch.allclose(first, second)  # the support's labels do matter
    losses = []
    for targets in (episodes.query.targets, (episodes.query.targets + 1) % 3):
        relabelled_queries = episodes.query._replace(targets=targets)
        torch.manual_seed(0)
        step = algorithm.meta_gradient(
            network,
            meta,
            episodes._replace(query=relabelled_queries),
            LocalTaskMap("loop"),
        )
        losses.append(step.metrics)
    # The logits are the same, so each query is right under one label at the most.
    assert (losses[0]["accuracy"] + losses[1]["accuracy"] <= 1).all()
    assert not torch.allclose(losses[0]["loss"], losses[1]["loss"])


def test_the_shares_of_the_labels_a_query_may_have_sum_to_one() -> None:
    """As they would not if the logits knew which label it has."""
    algorithm, episodes = SNAIL(embedding=8, filters=8), blobs()
    problem = Problem("classification", (6,), 3)
    network = algorithm.build(MLP(layers=(8,)), problem).double()
    inputs = episodes.query.inputs[:, :1]
    shares = []
    for label in range(3):
        query = Samples(inputs, torch.full((4, 1), label))
        torch.manual_seed(0)
        step = algorithm.meta_gradient(
            network,
            algorithm.init(network),
            episodes._replace(query=query),
            LocalTaskMap("loop"),
        )
        shares.append((-step.metrics["loss"]).exp())
    torch.testing.assert_close(sum(shares), torch.ones(4, dtype=DOUBLE))


def test_random_shots_keep_every_class() -> None:
    algorithm = SNAIL(random_shots=True)
    episodes = blobs(tasks=6, ways=3, shots=4)
    lengths = set()
    for seed in range(12):
        torch.manual_seed(seed)
        labels = algorithm.shuffled(episodes).support.targets
        lengths.add(labels.shape[1])
        for row in labels:
            assert len(set(row.bincount(minlength=3).tolist())) == 1
    assert lengths == {3, 6, 9, 12}


def test_other_ways_are_refused_before_training() -> None:
    five, ten = (Problem("classification", (1, 28, 28), n) for n in (5, 10))
    with pytest.raises(
        UnsupportedError, match="the head was trained for 5 outputs and cannot give 10"
    ):
        SNAIL().check(five, ten)


@pytest.mark.parametrize(
    ("settings", "shots", "blocks"),
    [({}, 1, 5), ({}, 5, 7), ({}, 0, 7), ({"max_shots": 5}, 1, 7)],
)
def test_the_stack_spans_the_shots_of_training(settings, shots, blocks) -> None:
    """A 20-way 1-shot sequence has 21 positions: log2 rounded up, 5 dense blocks; the
    stack for 5 shots (101) had two more, whose lags reach nothing."""
    problem = Problem("classification", (6,), 20, shots=shots)
    network = SNAIL(embedding=8, filters=8, **settings).build(MLP(), problem)
    assert len(network.stack.tc1.blocks) == blocks


def test_a_sequence_followed_in_parts_is_the_sequence_read_at_once() -> None:
    """Nothing is computed twice while somebody acts, and nothing is different."""
    torch.manual_seed(0)
    stack = Snail(6, None, 8, 4, False).double()
    sequence = torch.randn(3, 11, 6, dtype=torch.float64)
    whole, _ = stack.streams(sequence, sequence[:, :1])
    past, found = sequence.new_zeros(3, 0, stack.kept), []
    for steps in sequence.split([1, 4, 6], 1):
        said = stack.follow(past, steps)
        past = torch.cat([past, said[..., : stack.kept]], 1)
        found.append(said)
    torch.testing.assert_close(torch.cat(found, 1), whole, rtol=0, atol=1e-12)
