"""Meta Networks: pre-processing, attention, constants, shapes (algorithms.md 8.6)."""

import pytest
import torch

from metapipe import Meta, Problem, Samples, UnsupportedError
from metapipe.numerics.functional import apply, within
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.metanet import (
    READ,
    MetaNet,
    example_gradients,
    generate,
    modules_of,
)
from metapipe_plugins.algorithms.metanet import read_memory as read
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.parts.networks.augmented import Augmented
from metapipe_plugins.parts.networks.generators import log_sign

DOUBLE = torch.float64
CONV5 = {"blocks": 5, "pooling": "max", "ceil": True, "features": "flatten"}


class TestMetaNet(AlgorithmContract):
    algorithm = MetaNet()
    exact_gradient = False  # support gradients are constants
    learning = TrainingSettings(iterations=100, tasks=4, lr=0.01)


class TestMetaNetMinus(AlgorithmContract):
    algorithm = MetaNet(task_level=False)
    exact_gradient = False  # support gradients are constants


@pytest.mark.parametrize(
    ("gradient", "want"),
    [
        (0.5, (-0.09902, 1)),
        (0.01, (-0.65788, 1)),
        (-1e-3, (-0.98681, -1)),
        (1e-4, (-1, 0.109663)),
        (0.0, (-1, 0)),
    ],
)
def test_log_sign(gradient, want) -> None:
    got = log_sign(torch.tensor(gradient, dtype=DOUBLE)).tolist()
    assert got == pytest.approx(want, abs=2e-5)


def built(**settings):
    torch.manual_seed(0)
    algorithm = MetaNet(**settings)
    network = algorithm.build(TinyModel(), Problem("classification", (6,), 3)).double()
    return algorithm, network, Meta.of(network), blobs(queries=5)


def without(meta, *levels):
    """With the generators of these levels silent."""
    silent = {
        name: torch.zeros_like(p) if name.startswith(levels) else p
        for name, p in meta.params.items()
    }
    return type(meta)(silent)


def test_with_silent_generators_it_is_the_slow_network() -> None:
    algorithm, network, meta, episodes = built()
    meta = without(meta, "example_", "task_")
    step = algorithm.meta_gradient(network, meta, episodes, LocalTaskMap("loop"))
    slow = {
        name.removeprefix("base."): p.clone().requires_grad_()
        for name, p in meta.params.items()
        if name.startswith("base.")
    }
    losses = [
        task_loss(apply(network["base"], slow, x), y)[0]
        for x, y in zip(*episodes.query, strict=True)
    ]
    grads = torch.autograd.grad(torch.stack(losses).mean(), tuple(slow.values()))
    for name, want in zip(slow, grads, strict=True):
        # Zero weights of the fast path still pass a gradient to nobody but Z.
        torch.testing.assert_close(step.gradients[f"base.{name}"], want)


def test_fast_weights_are_made_from_labels() -> None:
    algorithm, network, meta, episodes = built()
    support = Samples(*(t[0] for t in episodes.support))
    first = algorithm.adapt(network, meta, support, 3)
    other = support._replace(targets=(support.targets + 1) % 3)
    second = algorithm.adapt(network, meta, other, 3)
    name = "memory.head.weight"
    assert not torch.allclose(first[name], second[name])
    assert not torch.allclose(first[name][0], first[name][1])


def test_one_memory_is_read_as_it_is_and_sums_of_outputs_are_outputs_of_sums() -> None:
    layer = torch.nn.Linear(4, 3).to(DOUBLE)
    memory = {
        "l.weight": torch.randn(5, 3, 4, dtype=DOUBLE),
        "l.bias": torch.randn(5, 3, dtype=DOUBLE),
    }
    attention = torch.rand(7, 5, dtype=DOUBLE).softmax(-1)
    hidden = torch.randn(7, 4, dtype=DOUBLE)
    got = read(memory, attention)("l", layer, hidden)
    for i in range(7):
        weight = torch.einsum("n,nab->ab", attention[i], memory["l.weight"])
        bias = attention[i] @ memory["l.bias"]
        assert torch.allclose(got[i], weight @ hidden[i] + bias)
    one = {k: v[:1] for k, v in memory.items()}
    got = read(one, torch.ones(7, 1, dtype=DOUBLE))("l", layer, hidden)
    assert torch.allclose(got, hidden @ one["l.weight"][0].T + one["l.bias"][0])


def test_a_memory_of_one_is_read_whatever_the_query() -> None:
    """8.6 (d): with one example attention is 1, for queries that are unlike it too."""
    algorithm, network, meta, episodes = built()
    support = Samples(*(t[0, :1] for t in episodes.support))
    adapted = algorithm.adapt(network, meta, support, 3)
    query = episodes.query.inputs[0]
    other = {**adapted, "keys": torch.randn_like(adapted["keys"])}
    first = algorithm.predict(network, meta, adapted, query)
    assert torch.allclose(algorithm.predict(network, meta, other, query), first)


def test_without_gradients_all_examples_have_the_same_fast_weights() -> None:
    """8.6 (c): they come from the support gradients and from nothing else."""
    _, network, meta, _ = built()
    slow = within(meta.params, "base")
    zero = {k: torch.zeros(4, *p.shape, dtype=DOUBLE) for k, p in slow.items()}
    made = generate(modules_of(network), meta.params, "example", zero)
    for weights in made.values():
        assert torch.equal(weights, weights[:1].expand_as(weights))


def test_normalisation_is_refused() -> None:
    model = Conv4(width=4, dense=(8,), **CONV5)
    with pytest.raises(UnsupportedError, match=r"-s model.normalise=false"):
        MetaNet().build(model, Problem("classification", (1, 28, 28), 3))


def test_support_gradients_are_of_each_example_and_constants() -> None:
    _, network, meta, episodes = built()
    leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    support = Samples(*(t[0] for t in episodes.support))
    grads = example_gradients(modules_of(network), leaves, support)
    assert not any(grad.requires_grad for grad in grads.values())
    slow = {
        k.removeprefix("base."): p for k, p in leaves.items() if k.startswith("base.")
    }
    for number in (0, 3):
        part = slice(number, number + 1)
        outputs = apply(network["base"], slow, support.inputs[part])
        loss, _ = task_loss(outputs, support.targets[part])
        (want,) = torch.autograd.grad(loss, slow["head.weight"])
        torch.testing.assert_close(grads["head.weight"][number], want)


@pytest.mark.parametrize("level", ["example", "task"])
@pytest.mark.parametrize(
    ("model", "shape", "kinds"),
    [
        (TinyModel(), (6,), ["dense"]),
        (
            Conv4(width=4, blocks=2, normalise=False, features="flatten", dense=(6,)),
            (1, 8, 8),
            ["convolution", "dense"],
        ),
    ],
    ids=["dense", "convolutions"],
)
def test_the_generators_gradient_is_that_of_differences(
    model, shape, kinds, level
) -> None:
    """Support gradients are constants of theirs, so for them it is exact."""
    torch.manual_seed(0)
    algorithm, episodes = MetaNet(), blobs(tasks=1, shape=shape, queries=2)
    problem = Problem("classification", shape, 3)
    network = algorithm.build(model, problem).double()
    meta = Meta.of(network)
    step = algorithm.meta_gradient(network, meta, episodes, LocalTaskMap("loop"))

    def loss(moves) -> float:
        moved = {name: p + moves.get(name, 0) for name, p in meta.params.items()}
        there = type(meta)(moved)
        again = algorithm.meta_gradient(network, there, episodes, LocalTaskMap("loop"))
        return again.metrics["loss"].item()

    for kind in kinds:
        along = {
            name: torch.randn_like(p)
            for name, p in meta.params.items()
            if name.startswith(f"{level}_{kind}.")
        }
        slope = sum((step.gradients[k] * d).sum().item() for k, d in along.items())
        h = 1e-7  # small, for the paths of both weights have rectifiers that bend
        ends = [loss({name: s * d for name, d in along.items()}) for s in (h, -h)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


def test_task_gradients_are_of_each_chunk_and_constants() -> None:
    algorithm, network, meta, episodes = built(chunks=2)
    leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    support = Samples(*(t[0] for t in episodes.support))
    grads = algorithm.task_gradients(modules_of(network), leaves, support)
    assert not any(grad.requires_grad for grad in grads.values())
    learner, slow = network["representation"], within(leaves, "representation")
    halves = zip(*(t.tensor_split(2) for t in support), strict=True)
    for number, (inputs, labels) in enumerate(halves):
        loss, _ = task_loss(apply(learner, slow, inputs), labels)
        (want,) = torch.autograd.grad(loss, slow["head.weight"])
        torch.testing.assert_close(grads["head.weight"][number], want)


def test_the_papers_network() -> None:
    """8.6 (f): coordinates of convolutions and of dense layers; the map is 1x1."""
    model = Conv4(normalise=False, dense=(64,), **CONV5)
    network = model.build((1, 28, 28), 5, "batch")
    params = Meta.of(network).params
    convolutions = sum(p.numel() for p in params.values() if p.ndim == 4)
    assert convolutions == 9 * 64 + 4 * 9 * 64 * 64 == 148_032
    assert params["dense1.weight"].shape == (64, 64)
    inputs = torch.rand(3, 1, 28, 28)
    logits, represented = Augmented(network).run(params, inputs)
    assert torch.equal(logits, network(inputs))
    assert logits.shape == (3, 5)
    assert represented.shape == (3, 64)
    assert bool((represented < 0).any())  # before the ReLU


def test_on_images_it_runs_and_every_part_learns() -> None:
    torch.manual_seed(0)
    algorithm = MetaNet()
    model = Conv4(width=4, normalise=False, dense=(8,), **CONV5)
    network = algorithm.build(model, Problem("classification", (1, 28, 28), 3)).double()
    episodes = blobs(tasks=2, shape=(1, 28, 28))
    step = algorithm.meta_gradient(
        network, Meta.of(network), episodes, LocalTaskMap("loop")
    )
    silent = {name for name, grad in step.gradients.items() if not grad.any()}
    assert silent <= {"representation.head.weight", "representation.head.bias"}


def test_queries_are_read_in_parts_and_alike() -> None:
    """Each query has weights of its own: more than READ at a time take too much memory
    (11 GB for 32 tasks of 75 queries)."""
    torch.manual_seed(0)
    metanet, episodes = MetaNet(), blobs(queries=READ)
    problem = Problem("classification", (6,), 3)
    network = metanet.build(TinyModel(), problem).double()
    meta = metanet.init(network)
    support, query = (Samples(*(t[0] for t in s)) for s in episodes[1:3])
    adapted = metanet.adapt(network, meta, support, 3)
    inputs = query.inputs
    assert len(inputs) > READ
    together = metanet.predict(network, meta, adapted, inputs)
    alone = [metanet.predict(network, meta, adapted, one[None]) for one in inputs]
    torch.testing.assert_close(together, torch.cat(alone))
