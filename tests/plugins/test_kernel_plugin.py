"""conv4-fused as a plugin: the contract of models, runs, a line for whatever it does
not serve, and the library that it builds."""

import re
from copy import deepcopy
from typing import Any

import pytest
import torch
from commands import error_line, metapipe, metapipe_json
from compiler import needs_compiler
from fused import FILE, Conv4Fused, kernel_library

from metapipe import Meta, UnsupportedError, load_weights
from metapipe.numerics import apply, computing_in
from metapipe.testing import ModelContract
from metapipe_plugins.models.conv4 import Conv4

pytestmark = needs_compiler

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
        ({"width": 100}, "model.width = 100: use -s model.width=64"),
        ({"width": 8}, "model.width = 8: use -s model.width=32"),
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


def test_images_that_vanish_are_refused() -> None:
    """Without conv4's advice, which is to round up."""
    with pytest.raises(
        UnsupportedError, match=r"at most -s model\.blocks=2, or --model conv4"
    ):
        Conv4Fused().build((1, 7, 5), 5, "batch")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int64])
def test_other_types_are_refused(dtype: torch.dtype) -> None:
    network = Conv4Fused(blocks=1).build((1, 6, 6), 5, "batch")
    with pytest.raises(UnsupportedError, match=f"float64, not .* images of {dtype}"):
        network(torch.ones(2, 1, 6, 6).to(dtype))


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
    network = Conv4Fused(blocks=2).build((1, 8, 8), 5, "batch")
    params = Meta.of(network).params
    images = torch.rand(3, 4, 1, 8, 8)
    with torch.no_grad():
        found = torch.func.vmap(lambda x: apply(network, params, x))(images)
        wanted = torch.stack([apply(network, params, x) for x in images])
    torch.testing.assert_close(found, wanted)
    with computing_in("bfloat16"), pytest.raises(UnsupportedError, match="bfloat16"):
        apply(network, params, images[0])


# The library


@pytest.fixture
def unbuilt(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cache without it; what is loaded is forgotten, and found again later."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    kernel_library.library.cache_clear()
    yield tmp_path / "kernels"
    kernel_library.library.cache_clear()


def test_it_is_built_once(unbuilt: Any) -> None:
    kernel_library.library(64)
    (path,) = unbuilt.iterdir()
    assert path.name.startswith("conv4-64-")
    when = path.stat().st_mtime_ns
    kernel_library.library.cache_clear()
    kernel_library.library(64)
    assert [p.stat().st_mtime_ns for p in unbuilt.iterdir()] == [when]


def test_a_damaged_one_is_built_again(
    unbuilt: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_library.library(64)
    (path,) = unbuilt.iterdir()
    damaged = tmp_path / "other" / "kernels" / path.name
    damaged.parent.mkdir(parents=True)
    damaged.touch()
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "other"))
    kernel_library.library.cache_clear()
    kernel_library.library(64)
    assert damaged.stat().st_size == path.stat().st_size


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        (
            "no-such-c++",
            "no C.. compiler no-such-c.. .install g.. or clang.., or set CX",
        ),
        ("false", "false cannot compile conv4-fused .*set CXX to a g.. or clang"),
        ("true", "true cannot compile conv4-fused .it wrote nothing.: set CXX"),
        ('g++ "', "no C.. compiler g.. . .install g"),
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
        kernel_library.library(64)
