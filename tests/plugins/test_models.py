"""Sizes of the reference networks (algorithms.md 1.3 and 7.2), and DropBlock."""

import pytest
import torch

from metapipe import Meta, Problem, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.numerics.functional import apply
from metapipe.testing import ModelContract
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.identity import Identity
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.models.ngrams import NGrams
from metapipe_plugins.models.r2d2net import R2D2Net
from metapipe_plugins.models.resnet12 import DropBlock, ResNet12


class TestIdentity(ModelContract):
    model = Identity()


class TestConv4WithGroupNorm(ModelContract):
    model = Conv4(width=16, blocks=2, norm="group", scale=True, initial="he")


class TestConv4WithLayerNorm(ModelContract):
    model = Conv4(width=6, blocks=2, norm="layer", initial="torch")


def test_groups_of_another_width_are_refused():
    with pytest.raises(UnsupportedError, match="no multiple of the 8 channels"):
        Conv4(width=12, norm="group").build((1, 28, 28), 5, "batch")


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_no_image_sees_another(norm):
    """So that what adapts by gradients is inductive with them."""
    problem = Problem("classification", (1, 28, 28), 5)
    model = Conv4(width=8, norm=norm)
    learner, meta = build_learner(MAML(), model, problem, "cpu", seed=0)
    assert not learner.transductive("together")
    images = torch.rand(6, 1, 28, 28)
    together = apply(learner.network, meta.params, images)
    alone = [apply(learner.network, meta.params, image[None]) for image in images]
    torch.testing.assert_close(together, torch.cat(alone))


def test_weights_begin_as_they_are_asked_to():
    """Variances of a 3x3 convolution: 2 / (fan in + fan out) by Glorot, 2 / fan out by
    He, 1 / fan in by LeCun, 1 / (3 fan in) by torch."""
    torch.manual_seed(0)
    inside, outside = 3 * 9, 512 * 9
    for initial, want in (
        ("xavier", 2 / (inside + outside)),
        ("he", 2 / outside),
        ("lecun", 1 / inside),
        ("torch", 1 / 3 / inside),
    ):
        model = Conv4(width=512, blocks=1, initial=initial)
        network = model.build((3, 28, 28), 5, "batch")
        weight = dict(network.named_parameters())["block1.conv.weight"]
        assert weight.var().item() == pytest.approx(want, rel=0.03)


class TestResNet12(ModelContract):
    model = ResNet12(widths=(4, 8, 8, 12))


class TestResNet12OfMeans(ModelContract):
    model = ResNet12(widths=(4, 8), features="mean")


class TestR2D2Net(ModelContract):
    model = R2D2Net(widths=(4, 8, 8))


class TestNGrams(ModelContract):
    model = NGrams(buckets=32, width=8)
    shape = (5, 3)


class TestNGramsReadByATransformer(ModelContract):
    model = NGrams(buckets=32, width=8, encoder="transformer", layers=2)
    shape = (5, 3)


@pytest.mark.parametrize("encoder", ["none", "convolution", "transformer"])
def test_padding_says_nothing(encoder):
    """Words and n-grams that are not there change nothing; the order of words does."""
    torch.manual_seed(0)
    model = NGrams(buckets=64, width=8, encoder=encoder, layers=2)
    network = model.build((3, 2), None, "running").eval()
    short = torch.tensor([[[5, 6], [7, 0], [0, 0]]])
    long = torch.nn.functional.pad(short, (0, 3, 0, 4))
    torch.testing.assert_close(network(long), network(short))
    turned = network(short[:, [1, 0, 2]])
    assert torch.allclose(turned, network(short), atol=1e-3) == (encoder == "none")


def test_ngrams_takes_texts_only():
    with pytest.raises(UnsupportedError, match="conv4"):
        NGrams().build((1, 28, 28), 5, "batch")
    with pytest.raises(UnsupportedError, match="multiple"):
        NGrams(width=10, encoder="transformer").build((3, 2), 5, "batch")


class TestConv4WithoutNormalisation(ModelContract):
    model = Conv4(width=8, normalise=False, dense=(6,))


POOLED = {"pooling": "max", "features": "flatten"}


@pytest.mark.parametrize(
    ("settings", "shape", "outputs", "weights", "beta"),
    [
        ({}, (1, 28, 28), 5, 111_749 - 4 * 64, 256),
        ({"width": 32} | POOLED, (3, 84, 84), 5, 32_645 - 4 * 32, 128),
    ],
    ids=["MAML's Omniglot", "MAML's mini-ImageNet"],
)
def test_parameters_are_the_references(settings, shape, outputs, weights, beta) -> None:
    """Less the convolutions' biases, whose gradient before normalisation is zero."""
    params = Meta.of(Conv4(**settings).build(shape, outputs, "batch")).params
    counts = {name: p.numel() for name, p in params.items()}
    shifts = sum(n for name, n in counts.items() if "norm" in name)
    assert shifts == beta
    assert sum(counts.values()) - shifts == weights


def test_a_perceptron_begins_as_it_is_asked_to() -> None:
    """Glorot's bound is sqrt(6 / (in + out)), torch's 1 / sqrt(in)."""
    torch.manual_seed(0)
    network = MLP(layers=(100,), initial="xavier").build((44,), 56, "batch")
    for name, p in network.named_parameters():
        if name.endswith("bias"):
            assert not p.any()
        else:
            bound = (6 / sum(p.shape)) ** 0.5
            assert 0.98 * bound < p.abs().max() <= bound
    torchs = MLP(layers=(100,)).build((44,), 56, "batch")
    assert torchs.linear1.weight.abs().max() <= 44**-0.5
    assert torchs.linear1.bias.any()


def test_the_sinusoids_network_has_1761_parameters() -> None:
    params = Meta.of(MLP().build((1,), 1, "batch")).params
    assert sum(p.numel() for p in params.values()) == 1_761


@pytest.mark.parametrize(
    ("settings", "shape", "length"),
    [
        ({}, (1, 28, 28), 64),
        ({"features": "flatten"}, (1, 28, 28), 256),
        (POOLED, (1, 28, 28), 64),
        (POOLED, (3, 84, 84), 1600),
        ({"width": 32} | POOLED, (3, 84, 84), 800),
        ({"width": 32, "ceil": True} | POOLED, (3, 84, 84), 1152),
        ({"ceil": True} | POOLED, (1, 28, 28), 256),
    ],
    ids=["MAML", "Reptile", "ProtoNet", "mini", "MAML-mini", "Reptile-mini", "SNAIL"],
)
def test_features_are_as_long_as_the_references(settings, shape, length) -> None:
    with torch.device("meta"):
        network = Conv4(**settings).build(shape, None, "running")
        assert network(torch.zeros(2, *shape)).shape == (2, length)


def test_resnet12_has_metaoptnets_16000_features_and_12_convolutions() -> None:
    with torch.device("meta"):
        network = ResNet12().build((3, 84, 84), None, "running")
        assert network(torch.zeros(2, 3, 84, 84)).shape == (2, 16_000)
    kernels = [p for p in network.parameters() if p.ndim == 4 and p.shape[-1] == 3]
    assert len(kernels) == 12


@pytest.mark.parametrize(("side", "length"), [(84, 72_576), (28, 3_584)])
def test_r2d2net_has_the_papers_features(side, length) -> None:
    with torch.device("meta"):
        network = R2D2Net().build((3, side, side), None, "running")
        assert network(torch.zeros(2, 3, side, side)).shape == (2, length)


def test_r2d2net_drops_in_training_only() -> None:
    network = R2D2Net(widths=(4, 4), dropout=0.5).build((1, 8, 8), None, "running")
    images = torch.rand(16, 1, 8, 8)
    assert (network.train()(images) == 0).float().mean() > 0.2
    assert (network.eval()(images) == 0).float().mean() < 0.01


def test_images_that_vanish_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="8x8 vanish in 4 blocks"):
        R2D2Net().build((1, 8, 8), 5, "batch")
    with pytest.raises(UnsupportedError, match="8x8 vanish in 4 blocks"):
        ResNet12().build((1, 8, 8), 5, "batch")
    with pytest.raises(UnsupportedError, match="takes images"):
        ResNet12().build((8,), 5, "batch")


def test_dropblock_drops_squares_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropBlock(0.2, 3, ramp=1).train()
    out = layer(torch.ones(64, 8, 20, 20))
    share = (out == 0).float().mean().item()
    assert 0.1 < share < 0.25  # squares overlap, so a little less than asked
    assert out.mean().item() == pytest.approx(1, abs=1e-5)
    row, column = (out[0, 0] == 0).nonzero()[0].tolist()
    assert not out[0, 0, row : row + 3, column].any()  # the top of a square
    assert torch.equal(layer.eval()(out), out)


def test_dropblock_grows_and_its_counter_is_state() -> None:
    model = ResNet12(widths=(4, 4), dropout=0, dropblock=0.5, dropblock_ramp=1000)
    network = model.build((1, 16, 16), None, "running")
    meta, inputs = Meta.of(network), torch.rand(4, 1, 16, 16)
    state = {name: value.clone() for name, value in meta.state.items()}
    for _ in range(2):
        apply(network, meta.params, inputs, state=state, training=True)
    assert state["drop2.passes"].item() == 2
    assert meta.state["drop2.passes"].item() == 0


@pytest.mark.parametrize(
    "algorithm", ["protonet", "r2d2", "metaoptnet", "snail", "baseline", "sklearn"]
)
def test_methods_that_want_vectors_refuse_maps(algorithm) -> None:
    problem = Problem("classification", (1, 28, 28), 5, 50)
    method = load().create("algorithm", algorithm, {})
    with pytest.raises(UnsupportedError, match=r"-s model.features=flatten"):
        method.build(Conv4(width=4, features="maps"), problem)


def test_smoothing_leaves_the_true_class_the_most() -> None:
    method = load().create("algorithm", "metaoptnet", {"smoothing": 0.6})
    problem = Problem("classification", (1, 28, 28), 2, 50)
    with pytest.raises(UnsupportedError, match=r"give less than 0.5"):
        method.check(problem, problem)
