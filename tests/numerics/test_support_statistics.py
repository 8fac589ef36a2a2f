"""Statistics that adapt returns and predict uses."""

import pytest
import torch
from torch import nn

from metapipe import Meta, Problem, Samples, UnsupportedError
from metapipe.numerics import (
    BatchNorm,
    LocalTaskMap,
    apply,
    computing_in,
    support_statistics,
)
from metapipe.testing import AlgorithmContract, blobs
from metapipe.testing.slopes import slopes
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.mlp import MLP

SHAPE = (1, 8, 8)
LOOP = LocalTaskMap("loop")
OTHERS = [LocalTaskMap("vmap"), LocalTaskMap("chunks", 3), LocalTaskMap("threads", 2)]


class TestInductiveMAML(AlgorithmContract):
    algorithm = MAML(inner_lr=0.1, inner_steps=2, statistics="support")
    model = MLP(layers=(8,), normalise=True)


def built(scale=True, **settings):
    """MAML on a small network of two blocks, in double precision."""
    torch.manual_seed(0)
    maml = MAML(statistics="support", inner_lr=0.1, **settings)
    model = Conv4(width=4, blocks=2, scale=scale)
    network = maml.build(model, Problem("classification", SHAPE, 3)).double()
    return maml, network, maml.init(network)


def first(samples):
    return Samples(*(tensor[0] for tensor in samples))


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("scale", [True, False])
def test_they_are_those_of_torchs_batch_normalisation(kind, scale):
    """Its running ones, moved all the way to one batch, but for the variance, of which
    it keeps the unbiased one."""
    size = () if kind == "1d" else (3, 2)
    inputs = 2 + torch.randn(6, 4, *size, dtype=torch.float64)
    others = torch.randn(5, 4, *size, dtype=torch.float64)
    theirs = (nn.BatchNorm2d if size else nn.BatchNorm1d)(4, momentum=1.0).double()
    ours = BatchNorm(4, "support", scale=scale).double()
    theirs(inputs)
    count = inputs.numel() / 4
    theirs.running_var *= (count - 1) / count
    params = {name: torch.randn_like(p) for name, p in Meta.of(ours).params.items()}
    theirs.load_state_dict(params, strict=False)
    found = support_statistics(ours, params, inputs)
    torch.testing.assert_close(found["mean"], theirs.running_mean)
    torch.testing.assert_close(found["var"], theirs.running_var)
    wanted = theirs.eval()(others)
    torch.testing.assert_close(apply(ours, params, others, state=found), wanted)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("switch", [True, False])
def test_the_meta_gradient_goes_through_them(scale, steps, switch):
    """Against differences, and the same however tasks are mapped; with normalisation
    adapted or not."""
    maml, network, meta = built(scale, inner_steps=steps, adapt_normalisation=switch)
    episodes = blobs(shape=SHAPE)

    def loss(params):
        step = maml.meta_gradient(network, Meta(params, meta.state), episodes, LOOP)
        return step.metrics["loss"].mean().item()

    want = maml.meta_gradient(network, meta, episodes, LOOP).gradients
    along = slopes(want, loss, meta.params)
    assert along.gradient == pytest.approx(along.differences, rel=1e-5)
    for over in OTHERS:
        got = maml.meta_gradient(network, meta, episodes, over).gradients
        for name, grad in want.items():
            torch.testing.assert_close(got[name], grad, rtol=1e-10, atol=1e-10)


def test_as_constants_they_would_give_another_gradient():
    """What going through them is worth: more than rounding, by far."""
    maml, network, meta = built(inner_steps=1)
    support, query = (first(part) for part in blobs(shape=SHAPE)[1:3])

    def gradient(detached):
        leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
        adapted = maml.adapt(network, Meta(leaves), support, 3)
        if detached:
            adapted = {
                k: p.detach() if k.startswith("statistics.") else p
                for k, p in adapted.items()
            }
        outputs = maml.predict(network, meta, adapted, query.inputs)
        loss = nn.functional.cross_entropy(outputs, query.targets)
        return torch.autograd.grad(loss, leaves["block1.conv.weight"])[0]

    whole, part = gradient(False), gradient(True)
    assert (whole - part).norm() > 0.05 * whole.norm()


def test_adapting_returns_all_that_predicting_needs():
    maml, network, meta = built()
    support, query = (first(part) for part in blobs(shape=SHAPE)[1:3])
    adapted = maml.adapt(network, meta, support, 3)
    layers = {f"block{n}.norm.{which}" for n in (1, 2) for which in ("mean", "var")}
    assert set(adapted) == {*meta.params, *(f"statistics.{name}" for name in layers)}
    whole = maml.predict(network, meta, adapted, query.inputs)
    for number, one in enumerate(query.inputs):
        alone = maml.predict(network, meta, adapted, one[None])
        torch.testing.assert_close(alone[0], whole[number], rtol=1e-12, atol=1e-12)
    assert maml.unadapted(network, meta) is None
    assert not list(network.buffers())


def test_nothing_of_it_stays_in_the_network():
    maml, network, meta = built()
    inputs = blobs(shape=SHAPE).support.inputs[0]
    before = apply(network, meta.params, inputs)
    maml.predict(network, meta, maml.adapt(network, meta, *args(inputs)), inputs)
    assert torch.equal(apply(network, meta.params, inputs), before)


def args(inputs):
    """A support set of three classes, and their number."""
    return Samples(inputs, torch.arange(len(inputs)) % 3), 3


def test_in_half_precision_they_are_kept_in_full():
    maml, network, meta = built()
    network.float()
    meta = maml.init(network)
    inputs = blobs(shape=SHAPE).support.inputs[0].float()
    exact = support_statistics(network, meta.params, inputs)
    with computing_in("bfloat16"):
        found = support_statistics(network, meta.params, inputs)
    for name, value in found.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.1, atol=0.05)


def test_a_layer_that_would_go_on_with_the_batch_is_refused():
    network = nn.Sequential(
        nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)
    )
    with pytest.raises(UnsupportedError, match="layer 1 cannot take"):
        support_statistics(network, Meta.of(network).params, torch.rand(5, 4))


def test_a_network_without_normalisation_has_none():
    network = nn.Linear(4, 3)
    assert support_statistics(network, Meta.of(network).params, torch.rand(5, 4)) == {}


def test_curves_begin_with_the_support_sets_statistics():
    maml, network, meta = built(inner_steps=2, curve=True)
    support, query = (first(part) for part in blobs(shape=SHAPE)[1:3])

    def predict(adapted):
        return maml.predict(network, meta, adapted, query.inputs)

    found = maml.judge(network, meta, support, query, predict)
    assert found is not None
    assert len(found["loss_by_step"]) == 3
    adapted = maml.adapt(network, meta, support, 3)
    loss = nn.functional.cross_entropy(predict(adapted), query.targets)
    torch.testing.assert_close(found["loss"], loss)
