"""Normalisation layers: torch's own functions, with the right second derivatives."""

import pytest
import torch
from torch import Tensor, nn

from metapipe import Meta, Problem
from metapipe.numerics.functional import apply, inner_loop, normalisation_names
from metapipe.numerics.losses import task_loss
from metapipe.numerics.normalisation import BatchNorm, GroupNorm, LayerNorm
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import blobs
from metapipe.testing.slopes import slopes
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.maml_plus_plus import MAMLPlusPlus
from metapipe_plugins.algorithms.meta_sgd import MetaSGD
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.mlp import MLP

LOOP, VMAP = LocalTaskMap("loop"), LocalTaskMap("vmap")
SHAPE = (1, 8, 8)
SCALED = Conv4(width=4, blocks=2, scale=True)
CASES = {
    "maml, mlp": (MAML(adapt_normalisation=True), MLP(layers=(16, 8), normalise=True)),
    "maml of 5 steps, conv4": (
        MAML(adapt_normalisation=True, inner_steps=5, inner_lr=0.1),
        SCALED,
    ),
    "meta-sgd, conv4": (MetaSGD(adapt_normalisation=True), SCALED),
    "maml++, conv4": (
        MAMLPlusPlus(adapt_normalisation=True, inner_steps=3, multi_step=False),
        SCALED,
    ),
    "maml, conv4 without a scale": (
        MAML(adapt_normalisation=True, inner_steps=2),
        SCALED.model_copy(update={"scale": False}),
    ),
    "maml, conv4 of groups": (
        MAML(adapt_normalisation=True, inner_steps=2),
        SCALED.model_copy(update={"norm": "layer"}),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_adapted_scales_have_the_right_meta_gradient(case) -> None:
    """The audit found torch's layers up to 5 per cent off by vmap and chunks."""
    algorithm, model = case
    torch.manual_seed(0)
    problem = Problem("classification", SHAPE, 3)
    network = algorithm.build(model, problem).double()
    meta, episodes = algorithm.init(network), blobs(shape=SHAPE)

    def loss(params) -> float:
        moved = Meta(params, meta.state)
        step = algorithm.meta_gradient(network, moved, episodes, LOOP)
        return step.metrics["loss"].mean().item()

    for over in (LOOP, VMAP, LocalTaskMap("chunks", 3)):
        step = algorithm.meta_gradient(network, meta, episodes, over)
        along = slopes(step.gradients, loss, meta.params)
        assert along.gradient == pytest.approx(along.differences, rel=1e-5), over


def layers(kind: str, scale: bool) -> tuple[nn.Module, nn.Module, Tensor]:
    """torch's layer and ours, with the same numbers, and inputs to them."""
    generator = torch.Generator().manual_seed(0)
    size = () if kind.endswith("1d") else (3, 2)
    inputs = 2 + torch.randn(6, 4, *size, generator=generator)
    running = kind.startswith("running")
    theirs = (nn.BatchNorm2d if size else nn.BatchNorm1d)(
        4, track_running_stats=running
    )
    ours = BatchNorm(4, "running" if running else "batch", scale=scale)
    numbers = {"bias": torch.randn(4, generator=generator)}
    if scale:
        numbers["weight"] = torch.randn(4, generator=generator)
    for layer in (theirs, ours):
        layer.load_state_dict(numbers, strict=False)
    return theirs, ours, inputs


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("kind", ["batch 1d", "batch 2d", "running 1d", "running 2d"])
def test_batch_norm_is_torchs(kind, scale) -> None:
    """In training and in use, and what it leaves behind."""
    theirs, ours, inputs = layers(kind, scale)
    for training in (True, True, False):
        want = theirs.train(training)(inputs)
        torch.testing.assert_close(ours.train(training)(inputs), want)
    assert dict(ours.named_buffers()).keys() == dict(theirs.named_buffers()).keys()
    for name, buffer in ours.named_buffers():
        assert torch.equal(buffer, theirs.get_buffer(name)), name


def test_without_a_scale_there_is_a_shift_alone_and_torchs_bits() -> None:
    theirs, ours, inputs = layers("batch 2d", scale=False)
    assert set(Meta.of(ours).params) == {"bias"}
    assert normalisation_names(ours) == {"bias"}
    assert torch.equal(ours(inputs), theirs(inputs))


@pytest.mark.parametrize("scale", [True, False])
def test_group_norm_is_torchs(scale) -> None:
    torch.manual_seed(0)
    ours, theirs = GroupNorm(2, 6, scale=scale), nn.GroupNorm(2, 6)
    for p in ours.parameters():
        nn.init.normal_(p)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    inputs = torch.randn(3, 6, 4, 5)
    torch.testing.assert_close(ours(inputs), theirs(inputs))
    names = {"weight", "bias"} if scale else {"bias"}
    assert normalisation_names(ours) == names


def test_layer_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = LayerNorm(5), nn.LayerNorm(5)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(3, 2, 5)
    torch.testing.assert_close(ours(inputs), theirs(inputs))
    assert normalisation_names(ours) == {"weight", "bias"}


@pytest.mark.parametrize("scale", [True, False])
def test_running_statistics_are_moved_in_the_state_handed_in(scale) -> None:
    theirs, ours, inputs = layers("running 2d", scale)
    theirs(inputs)
    meta = Meta.of(ours)
    state = {name: value.clone() for name, value in meta.state.items()}
    apply(ours, meta.params, inputs, state=state, training=True)
    for name, value in state.items():
        assert torch.equal(value, theirs.get_buffer(name)), name
        assert not torch.equal(value, meta.state[name]), name


def test_running_statistics_are_right_or_refused_by_vmap() -> None:
    """In use as by a loop, to the second derivative; in training they do not move."""
    torch.manual_seed(0)
    norm = BatchNorm(5, "running")
    norm.running_mean.normal_()
    network = nn.Sequential(nn.Linear(6, 5), norm, nn.Tanh(), nn.Linear(5, 3)).double()
    meta = Meta.of(network)

    def adapted(training: bool):
        def loss(params, support, query):
            def outputs(values, inputs):
                state = {name: value.clone() for name, value in meta.state.items()}
                return apply(network, values, inputs, state=state, training=training)

            found = inner_loop(
                lambda p: task_loss(outputs(p, support.inputs), support.targets),
                params,
                lr=0.3,
                steps=2,
                second_order=True,
            )
            return task_loss(outputs(found, query.inputs), query.targets)

        return loss

    want, _ = LOOP.gradient(adapted(False), meta.params, blobs())
    got, _ = VMAP.gradient(adapted(False), meta.params, blobs())
    for name, grad in want.items():
        torch.testing.assert_close(got[name], grad, rtol=1e-12, atol=1e-12)
    with pytest.raises(RuntimeError, match="running_mean"):
        VMAP.gradient(adapted(True), meta.params, blobs())
