"""Values to begin with, from a file: by name, of the right shapes, once."""

from pathlib import Path

import pytest
import torch
from commands import error_line, metapipe
from safetensors.torch import save_file
from torch import nn

from metapipe import Problem, load_weights
from metapipe.errors import CheckpointError
from metapipe.store import TaskStore, default_url
from metapipe.training.checkpoint import load, save
from metapipe.training.learner import build_learner
from metapipe.training.loop import initial_state
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.anil import ANIL
from metapipe_plugins.algorithms.baseline import Baseline
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.resnet12 import ResNet12

PROBLEM = Problem("classification", (1, 8, 8), 3, 24)
SMALL = ResNet12(widths=(4, 4), block_size=2)
FIRST = "block1.first.conv.weight"


def begun(algorithm, model: ResNet12, seed: int):
    return build_learner(algorithm, model, PROBLEM, "cpu", seed)


def network() -> nn.Module:
    return SMALL.build(PROBLEM.shape, 3, "running")


def test_named_values_are_the_files_and_others_as_usual(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = network()
    value = torch.rand_like(ours.state_dict()[FIRST])
    before = {name: v.clone() for name, v in ours.state_dict().items()}
    save_file({FIRST: value.double()}, tmp_path / "f")
    load_weights(ours, tmp_path / "f")
    for name, found in ours.state_dict().items():
        assert torch.equal(found, value if name == FIRST else before[name])


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"block1.x": torch.zeros(1)}, "f has block1.x, which this network has not"),
        (
            {FIRST: torch.zeros(2, 3)},
            rf"f has {FIRST} of shape \(2, 3\), in this network it is \(4, 1, 3, 3\)",
        ),
        ({}, "f has nothing of this network"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_taken(
    tmp_path: Path, tensors, reason
) -> None:
    ours = network()
    before = {name: v.clone() for name, v in ours.state_dict().items()}
    save_file({"block1.first.norm.bias": torch.ones(4), **tensors}, tmp_path / "f")
    if not tensors:
        save_file({}, tmp_path / "f")
    with pytest.raises(CheckpointError, match=reason):
        load_weights(ours, tmp_path / "f")
    for name, found in ours.state_dict().items():
        assert torch.equal(found, before[name])


def test_no_file_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load_weights(network(), tmp_path / "f")
    learner, meta = begun(ProtoNet(), SMALL, 0)
    path = tmp_path / "c"
    save(path, initial_state(meta, TrainingSettings()), learner.network, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_weights(network(), path)


@pytest.mark.parametrize("before", [ProtoNet(), Baseline(), ANIL()])
@pytest.mark.parametrize("after", [ProtoNet(), Baseline(), ANIL()])
def test_a_network_goes_from_one_algorithm_to_another(
    tmp_path: Path, before, after
) -> None:
    learner, meta = begun(before, SMALL, seed=1)
    path = tmp_path / "c"
    save(path, initial_state(meta, TrainingSettings()), learner.network, {})
    _, found = begun(after, SMALL.model_copy(update={"weights": path}), seed=2)

    def features(params) -> list[torch.Tensor]:
        return [p for name, p in sorted(params.items()) if "block" in name]

    ours = features(meta.params)
    assert len(ours) > 10
    for mine, theirs in zip(ours, features(found.params), strict=True):
        assert torch.equal(mine, theirs)


TRAIN = (
    *("train", "--dataset", "digits", "--model", "resnet12", "--plugin", "protonet"),
    *("-s", "model.widths=[4,4]", "-s", "model.block_size=2", "--ways", "3"),
    *("--queries", "3", "--tasks", "2", "-s", "evaluation.episodes=4"),
    *("--validate-every", "0", "--mapping", "loop"),
)


def test_a_run_begins_there_and_needs_the_file_no_more(tmp_path: Path) -> None:
    metapipe(*TRAIN, "--iterations", "3", cwd=tmp_path)
    with TaskStore.open(default_url(tmp_path)) as store:
        (row,) = store.checkpoints(1)
    file = tmp_path / "begin.safetensors"
    Path(row.path).rename(file)
    wanted = load(file).meta("cpu").params
    again = (*TRAIN, "-s", f"model.weights={file}", "--seed", "5", "--lr", "1e-30")
    metapipe(*again, "--iterations", "1", cwd=tmp_path)
    file.unlink()
    with TaskStore.open(default_url(tmp_path)) as store:
        (row,) = store.checkpoints(2)
        assert store.run(2).config["model"]["weights"] == str(file)
    found = load(Path(row.path)).meta("cpu").params
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-20)
    metapipe("evaluate", "2", cwd=tmp_path)
    line = error_line(*again, "--iterations", "1", cwd=tmp_path, code=1)
    assert "begin.safetensors" in line
