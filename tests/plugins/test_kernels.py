"""conv4-fused, the plugin in benchmarks/kernels: the same function as conv4's with
pooling, and a line for whatever it does not serve.

What is compared is compared in double precision, where rounding cannot hide a term.
"""

import os
import re
import shutil
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from commands import error_line, metapipe, metapipe_json
from project import ROOT
from torch import Tensor

from metapipe import (
    Meta,
    Problem,
    Samples,
    UnsupportedError,
    load_plugins,
    load_weights,
)
from metapipe.numerics import BatchNorm, LocalTaskMap, apply, computing_in
from metapipe.testing import ModelContract, blobs
from metapipe.training.execution import meta_step
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

FILE = ROOT / "benchmarks" / "kernels" / "conv4_fused.py"
Conv4Fused: Any = load_plugins(FILE).entry("model", "conv4-fused").cls

# Files beside the plugin's, which it has made to be found.
kernel_library = import_module("kernel_library")
blocks = import_module("kernel_blocks")
functions = import_module("kernel_functions")

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, [os.environ.get("CXX", "g++"), "g++", "clang++"])),
    reason="kernels are compiled, and there is no C++ compiler: apt-get install g++",
)

EXACT = 1e-9

TINY = (
    *("--plugin-path", str(FILE), "train", "--plugin", "maml", "--dataset", "digits"),
    *("--model", "conv4-fused", "-s", "model.blocks=2", "--ways", "3", "--tasks", "2"),
    *("--queries", "2", "--iterations", "2", "--validate-every", "0"),
    *("-s", "evaluation.episodes=4", "--device", "cpu"),
)


class TestConv4Fused(ModelContract):
    """Whole, but for the statistics that it refuses."""

    model = Conv4Fused(blocks=2, scale=True)
    shape = (1, 14, 14)

    def test_running_statistics_make_predictions_independent(self) -> None:
        self.refused("running")

    def test_statistics_of_a_support_set_are_handed_in(self) -> None:
        self.refused("support")

    def test_dropout_is_seen(self) -> None:
        """There is none, with batch statistics."""
        network = self.model.build(self.shape, 5, "batch").train()
        inputs = torch.rand(4, *self.shape)
        assert torch.equal(network(inputs), network(inputs))

    def refused(self, statistics: Any) -> None:
        said = f"asks for algorithm.statistics = {statistics}: use -s algorithm.stat"
        with pytest.raises(UnsupportedError, match=said):
            self.model.build(self.shape, 5, statistics)


# Blocks beside torch's own operations


def by_torch(maps: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    found = F.batch_norm(
        F.conv2d(maps, weight, padding=1), None, None, training=True, eps=1e-5
    )
    found = found * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    return F.max_pool2d(found, 2).relu()


def by_kernels(maps: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A block's forward, of these tensors in place of its parameters."""
    conv = torch.nn.Conv2d(maps.shape[1], 64, 3, padding=1, bias=False)
    kind = blocks.FusedBlock if maps.shape[1] == 64 else blocks.FirstFusedBlock
    block = kind(conv, BatchNorm(64, "batch"), last=False).double()
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
    if maps.shape[1] != 64:
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


def apart(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference, of each tensor relative to its largest value."""
    return max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
        for a, b in zip(found, wanted, strict=True)
    )


def parameters(channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scales of both signs, and one that is exactly zero."""
    generator = torch.Generator().manual_seed(2)
    weight, scale, shift = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((64, channels, 3, 3), (64,), (64,))
    )
    scale[7] = 0.0
    return weight / (9 * channels) ** 0.5, scale, shift


@pytest.mark.parametrize(
    "shape",
    [
        *((3, 64, 14, 14), (5, 64, 7, 7), (4, 64, 3, 3), (3, 64, 8, 8), (3, 64, 4, 4)),
        *((2, 64, 21, 10), (2, 64, 5, 9), (7, 64, 2, 4), (3, 64, 3, 2)),
        *((5, 1, 28, 28), (3, 3, 32, 32), (2, 3, 35, 29), (4, 2, 6, 5), (2, 1, 3, 62)),
    ],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_a_block_is_torchs_up_to_second_derivatives(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(shape, generator=generator, dtype=torch.float64)
    others = parameters(shape[1])
    found = derivatives(by_kernels, maps, *others)
    assert apart(found, derivatives(by_torch, maps, *others)) < EXACT


@pytest.mark.parametrize("shape", [(2, 64, 6, 6), (2, 1, 6, 6)])
def test_a_third_derivative_is_refused(shape: tuple[int, ...]) -> None:
    """And not computed without a term, as torch would."""
    weight, scale, shift = (p.requires_grad_() for p in parameters(shape[1]))
    out = by_kernels(torch.rand(shape).double(), weight, scale, shift)
    (first,) = torch.autograd.grad(out.square().sum(), weight, create_graph=True)
    with pytest.raises(UnsupportedError, match="no third derivatives"):
        torch.autograd.grad(first.square().sum(), weight, create_graph=True)


def test_of_equals_the_first_one_is_the_largest() -> None:
    """As torch does, where values are equal to the bit: a scale of zero makes all of a
    map equal, above, and one image for all pixels makes all patches equal here."""
    maps = torch.full((3, 1, 12, 12), 0.5, dtype=torch.float64)
    maps[1] = 0.25
    others = parameters(1)
    found = derivatives(by_kernels, maps, *others)
    assert apart(found, derivatives(by_torch, maps, *others)) < EXACT


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


def test_parameters_are_conv4s_and_a_file_of_one_is_the_others(tmp_path: Any) -> None:
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
    _, covariance = functions.patch_moments(functions.bordered(images))
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


# Runs, and what is refused


def test_a_run_from_the_command_line(tmp_path: Any) -> None:
    said = "".join(metapipe(*TINY, cwd=tmp_path))
    assert "tasks mapped by loop" in said
    assert "run 1 completed" in said
    path = ("--plugin-path", str(FILE))
    (tmp_path / "metapipe.toml").touch()
    judged = metapipe_json(
        *path, "evaluate", "1", "--episodes", "3", "--json", cwd=tmp_path
    )
    assert judged
    (checkpoint,) = tmp_path.glob(".metapipe/runs/*/latest-*")
    model = Conv4(pooling="max", blocks=2)
    network = model.build((1, 8, 8), 3, "batch")
    before = deepcopy(network.state_dict())
    load_weights(network, checkpoint)
    assert not torch.equal(before["head.weight"], network.head.weight)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--mapping", "vmap"),
            "vmap and torch.func do not see into .* use --mapping loop or --map",
        ),
        (
            ("--precision", "bfloat16"),
            "not in run.precision = bfloat16: use -s run.pre",
        ),
    ],
)
def test_what_the_settings_of_a_run_ask_for_in_vain(
    tmp_path: Any, options: tuple[str, ...], said: str
) -> None:
    assert re.search(said, error_line(*TINY, *options, cwd=tmp_path, code=2))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"width": 32}, "model.width = 32: use -s model.width=64"),
        ({"pooling": "stride"}, "model.pooling = stride: use -s model.pooling=max"),
        ({"ceil": True}, "model.ceil = true: use -s model.ceil=false"),
        ({"norm": "group"}, "model.norm = group: use -s model.norm=batch"),
        ({"normalise": False}, "model.normalise = false: use -s model.normalise=true"),
    ],
    ids=str,
)
def test_settings_without_kernels_are_refused(
    setting: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnsupportedError, match=said):
        Conv4Fused(**setting).build((1, 28, 28), 5, "batch")


def test_images_of_many_channels_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match="at most 3 channels, not 4: use --model"
    ):
        Conv4Fused().build((4, 28, 28), 5, "batch")


def test_images_with_a_gradient_are_refused() -> None:
    network = Conv4Fused(blocks=1).build((1, 6, 6), 5, "batch")
    with pytest.raises(UnsupportedError, match="no gradient by its images"):
        network(torch.rand(2, 1, 6, 6).requires_grad_())


@pytest.mark.cuda
def test_a_gpu_is_refused() -> None:
    network = Conv4Fused(blocks=1).build((1, 6, 6), 5, "batch").to("cuda")
    with pytest.raises(UnsupportedError, match="not on cuda: use --device cpu"):
        network(torch.rand(2, 1, 6, 6, device="cuda"))


def test_inputs_that_are_predicted_alone_go_through_torch() -> None:
    """By vmap, without gradients: as `metapipe predict` does."""
    _, (learner, meta) = pair(1, 8, 8, blocks=2)
    images = torch.rand(3, 4, 1, 8, 8).double()
    with torch.no_grad():
        found = torch.func.vmap(lambda x: apply(learner.network, meta.params, x))(
            images
        )
        wanted = torch.stack([apply(learner.network, meta.params, x) for x in images])
    torch.testing.assert_close(found, wanted)
    with computing_in("bfloat16"), pytest.raises(UnsupportedError, match="bfloat16"):
        apply(learner.network, meta.params, images[0])


# The library


@pytest.fixture
def unbuilt(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cache without it; what is loaded is forgotten, and found again later."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    kernel_library.library.cache_clear()
    yield tmp_path / "kernels"
    kernel_library.library.cache_clear()


def test_it_is_built_once(unbuilt: Any) -> None:
    kernel_library.library()
    (path,) = unbuilt.iterdir()
    assert path.name.startswith("conv4-")
    when = path.stat().st_mtime_ns
    kernel_library.library.cache_clear()
    kernel_library.library()
    assert [p.stat().st_mtime_ns for p in unbuilt.iterdir()] == [when]


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        (
            "no-such-c++",
            "no C.. compiler no-such-c.. .install g.. or clang.., or set CX",
        ),
        ("false", "false cannot compile conv4-fused .*set CXX to a g.. or clang"),
    ],
)
def test_a_machine_without_a_compiler_is_told_what_to_do(
    unbuilt: Any, monkeypatch: pytest.MonkeyPatch, compiler: str, said: str
) -> None:
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(UnsupportedError, match=said):
        Conv4Fused(blocks=1).build((1, 6, 6), 5, "batch")
    with torch.device("meta"):  # as a file is opened, which computes nothing
        Conv4Fused(blocks=1).build((1, 6, 6), 5, "batch")


def test_a_cache_where_nothing_can_be_kept_is_told(
    unbuilt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbuilt.touch()  # a file in the folder's place
    with pytest.raises(UnsupportedError, match="let METAPIPE_CACHE be a folder where"):
        kernel_library.library()
