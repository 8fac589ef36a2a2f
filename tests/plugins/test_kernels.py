"""conv4-fused, the plugin in benchmarks/kernels, is the same function as conv4 with
pooling.

What is compared is compared in double precision, where rounding cannot hide a term.
"""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from compiler import needs_compiler
from fused import IMAGE_CHANNELS, WIDTHS, Conv4Fused, blocks, functions
from torch import Tensor

from metapipe import Meta, Problem, Samples, UnsupportedError
from metapipe.numerics import BatchNorm, LocalTaskMap
from metapipe.testing import blobs
from metapipe.training.execution import meta_step
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

pytestmark = needs_compiler

EXACT = 1e-9


# Blocks beside torch's own operations


def by_torch(maps: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    found = F.batch_norm(
        F.conv2d(maps, weight, padding=1), None, None, training=True, eps=1e-5
    )
    found = found * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    return F.max_pool2d(found, 2).relu()


def by_kernels(maps: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A block's forward, of these tensors in place of its parameters."""
    width = len(weight)
    conv = torch.nn.Conv2d(maps.shape[1], width, 3, padding=1, bias=False)
    kind = blocks.FusedBlock if maps.shape[1] == width else blocks.FirstFusedBlock
    block = kind(conv, BatchNorm(width, "batch"), last=False).double()
    given = maps
    if kind is blocks.FusedBlock:
        given = blocks.Maps(F.pad(maps, (1, 1, 1, 1)).permute(0, 2, 3, 1))
    names = ("conv.weight", "norm.weight", "norm.bias")
    values = dict(zip(names, (weight, scale, shift), strict=True))
    return torch.func.functional_call(block, values, (given,)).of_torch()


def derivatives(function: Any, maps: Tensor, *others: Tensor) -> list[Tensor]:
    """The value, the gradient, and that of a sum of it, by all that has one: what is
    learned, the gradient that arrives, and maps where they are no images."""
    inputs = [tensor.clone().requires_grad_() for tensor in (maps, *others)]
    if is_image(maps):
        inputs[0].requires_grad_(False)
    by = [tensor for tensor in inputs if tensor.requires_grad]
    out = function(*inputs)
    generator = torch.Generator().manual_seed(5)

    def random(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    arriving = random(out).requires_grad_()
    first = torch.autograd.grad(out, by, arriving, create_graph=True)
    wanted = sum((a * random(a)).sum() for a in first) + out.square().sum()
    found = [out, *first, *torch.autograd.grad(wanted, [*by, arriving])]
    return [tensor.detach() for tensor in found]


def is_image(maps: Tensor) -> bool:
    return maps.shape[1] <= IMAGE_CHANNELS


def apart(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference, of each tensor relative to its largest value."""
    return max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
        for a, b in zip(found, wanted, strict=True)
    )


def parameters(channels: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scales of both signs, and one that is exactly zero."""
    generator = torch.Generator().manual_seed(2)
    weight, scale, shift = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((width, channels, 3, 3), (width,), (width,))
    )
    scale[7] = 0.0
    return weight / (9 * channels) ** 0.5, scale, shift


@pytest.mark.parametrize(
    "shape",
    [
        *((3, 0, 14, 14), (5, 0, 7, 7), (4, 0, 3, 3), (3, 0, 8, 8), (3, 0, 4, 4)),
        *((2, 0, 21, 10), (2, 0, 5, 9), (7, 0, 2, 4), (3, 0, 3, 2)),
        *((5, 1, 28, 28), (3, 3, 32, 32), (2, 3, 35, 29), (4, 2, 6, 5), (2, 1, 3, 62)),
    ],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_block_is_torchs_up_to_second_derivatives(
    shape: tuple[int, ...], width: int
) -> None:
    """0 channels stand for as many as the kernels are for: maps within the network."""
    generator = torch.Generator().manual_seed(1)
    count, channels, *size = shape
    channels = channels or width
    maps = torch.rand(count, channels, *size, generator=generator, dtype=torch.float64)
    others = parameters(channels, width)
    found = derivatives(by_kernels, maps, *others)
    assert apart(found, derivatives(by_torch, maps, *others)) < EXACT


@pytest.mark.parametrize("shape", [(2, 64, 6, 6), (2, 1, 6, 6)])
def test_a_third_derivative_is_refused(shape: tuple[int, ...]) -> None:
    """And not computed without a term, as torch would."""
    weight, scale, shift = (p.requires_grad_() for p in parameters(shape[1], 64))
    out = by_kernels(torch.rand(shape).double(), weight, scale, shift)
    (first,) = torch.autograd.grad(out.square().sum(), weight, create_graph=True)
    with pytest.raises(UnsupportedError, match="no third derivatives"):
        torch.autograd.grad(first.square().sum(), weight, create_graph=True)


def test_of_equals_the_first_one_is_the_largest() -> None:
    """As torch does, where values are equal to the bit: a scale of zero makes all of a
    map equal, above, and one image for all pixels makes all patches equal here."""
    maps = torch.full((3, 1, 12, 12), 0.5, dtype=torch.float64)
    maps[1] = 0.25
    others = parameters(1, 64)
    found = derivatives(by_kernels, maps, *others)
    assert apart(found, derivatives(by_torch, maps, *others)) < EXACT


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_seen(value: float) -> None:
    """As by torch: a training that has diverged is told by its loss."""
    learner = Conv4Fused(blocks=3).build((1, 16, 16), 5, "batch")
    images = torch.rand(4, 1, 16, 16)
    assert learner(images).isfinite().all()
    images[1, 0, 3, 3] = value
    assert learner(images).isnan().all()
    with torch.no_grad():
        learner.get_parameter("block2.norm.bias")[5] = value
    found = learner(torch.rand(4, 1, 16, 16))
    assert not found.isfinite().any()


def test_no_images_are_no_predictions() -> None:
    for number in (1, 2):
        network = Conv4Fused(blocks=number).build((1, 8, 8), 3, "batch")
        assert network(torch.zeros(0, 1, 8, 8)).shape == (0, 3)


# Networks beside conv4's


def pair(*shape: int, **settings: Any) -> tuple[Any, Any]:
    """Learners of second-order MAML in double precision, begun alike, and each one's
    meta-parameters."""
    problem = Problem("classification", shape, 5)
    settings = {"features": "flatten"} | settings
    steps = settings.pop("steps", 1)
    algorithm = MAML(inner_lr=0.1, inner_steps=steps, adapt_normalisation=True)
    models = Conv4(pooling="max", **settings), Conv4Fused(**settings)
    made = [build_learner(algorithm, m, problem, "cpu", seed=0)[0] for m in models]
    made = [replace(learner, network=learner.network.double()) for learner in made]
    found = tuple((learner, Meta.of(learner.network)) for learner in made)
    return found[0], found[1]


def off(shape: tuple[int, ...], change: Any = lambda x: x, **settings: Any) -> float:
    """How far the whole meta-gradient is from conv4's, relative."""
    episodes = blobs(tasks=2, ways=5, shots=1, queries=3, shape=shape)
    support, query = (
        Samples(change(samples.inputs).double(), samples.targets)
        for samples in (episodes.support, episodes.query)
    )
    episodes = episodes._replace(support=support, query=query)
    whole = []
    for learner, meta in pair(*shape, **settings):
        step = meta_step(learner, meta, episodes, LocalTaskMap("loop"))
        whole.append(torch.cat([g.flatten() for g in step.gradients.values()]))
    return float((whole[1] - whole[0]).norm() / whole[0].norm())


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((1, 28, 28), {"scale": True}),
        ((1, 28, 28), {"scale": False, "steps": 3}),
        ((3, 32, 32), {"scale": True, "features": "mean"}),
        ((2, 13, 9), {"scale": True, "blocks": 3, "dense": (8,)}),
        ((1, 8, 8), {"blocks": 1}),
        ((1, 28, 28), {"scale": True, "width": 32}),
        ((3, 32, 32), {"scale": False, "width": 32, "steps": 3}),
    ],
)
def test_the_whole_meta_gradient_is_conv4s(
    shape: tuple[int, ...], settings: dict[str, Any]
) -> None:
    assert off(shape, **settings) < EXACT


def test_blots_have_ties_and_the_same_gradient() -> None:
    """Black and white images have areas whose pixels see the same. Which of such pixels
    is the largest is decided by rounding after the first block, here and in torch
    otherwise; but what they see is the same, and so is what the weights get of it."""

    def blots(images: Tensor) -> Tensor:
        flat = F.avg_pool2d(images.flatten(0, 1), 9, 1, 4).unflatten(
            0, images.shape[:2]
        )
        return (flat > flat.median()).float()

    assert off((1, 28, 28), blots, scale=True) < EXACT


def test_parameters_are_conv4s() -> None:
    for settings in ({}, {"scale": True, "dense": (8,), "features": "mean"}):
        plain, fused = (meta.params for _, meta in pair(1, 28, 28, **settings))
        assert [*plain] == [*fused]
        assert all(torch.equal(plain[name], fused[name]) for name in plain)


def test_loop_and_threads_give_the_same_bits() -> None:
    _, (learner, meta) = pair(1, 14, 14, blocks=3)
    episodes = blobs(tasks=2, ways=5, shots=1, queries=2, shape=(1, 14, 14))
    ends = []
    for mapping in (LocalTaskMap("loop"), LocalTaskMap("threads", 2)):
        params = meta.params
        for _ in range(3):
            step = meta_step(learner, Meta(params, {}), episodes, mapping)
            params = {n: p - 0.1 * step.gradients[n] for n, p in params.items()}
        ends.append(params)
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


# Rounding


def test_a_mean_far_above_the_deviation_costs_no_digits() -> None:
    """In float32, of maps and of images. The mean of squares less the square of the
    mean would be wrong by more than the variance."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn((20, 14, 14, 64), generator=generator)
    inside = noise + 1000 + torch.arange(64) * 10
    maps = F.pad(inside, (0, 0, 1, 1, 1, 1))
    ones, zeros = torch.ones(64), torch.zeros(64)
    found = functions.normalised(maps, ones, zeros, 1e-5, 0)
    torch_maps = inside.permute(0, 3, 1, 2)
    exact, theirs = (
        F.max_pool2d(F.batch_norm(m, None, None, training=True), 2).relu()
        for m in (torch_maps.double(), torch_maps)
    )
    ours = (found.permute(0, 3, 1, 2) - exact).abs().max()
    assert ours <= 2 * (theirs - exact).abs().max()
    assert ours < 1e-3

    images = 100 + 0.1 * torch.randn((4, 2, 28, 28), generator=generator)
    _, covariance = functions.patch_moments(functions.bordered(images), 64)
    middle = F.unfold(F.pad(images.double(), (1, 1, 1, 1)), 3)  # (4, 2 * 9, pixels)
    order = torch.arange(18).view(2, 9).T.flatten()  # the channel last
    patches = middle.permute(1, 0, 2).flatten(1)[order]
    wanted = torch.cov(patches, correction=0)
    centre = slice(8, 10)  # taps that see no border: the variance is 0.01
    torch.testing.assert_close(
        *(c[centre, centre].double() for c in (covariance, wanted)),
        rtol=1e-4,
        atol=1e-7,
    )


def test_maps_at_any_address_are_taken() -> None:
    """Kernels read whole vectors, from where such a one may begin."""
    maps = F.pad(torch.rand(2, 4, 4, 64), (0, 0, 1, 1, 1, 1))
    weight = torch.rand(64, 64, 3, 3)
    moved = torch.empty(maps.numel() + 1)[1:].view(maps.shape).copy_(maps)
    wanted = functions.convolved(maps, weight)
    assert torch.equal(functions.convolved(moved, weight), wanted)
