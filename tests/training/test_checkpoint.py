"""Checkpoints: everything comes back, and nothing foreign or damaged is taken."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy_training import draw, learner

from metapipe.errors import CheckpointError
from metapipe.settings import TrainingSettings
from metapipe.training.checkpoint import load, save
from metapipe.training.loop import initial_state, iterations


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_training_goes_on_bit_for_bit_from_a_file(tmp_path: Path, optimiser) -> None:
    settings = TrainingSettings(
        iterations=8, lr=0.01, optimiser=optimiser, momentum=0.5, schedule="linear"
    )
    ours, meta = learner()
    whole, first = initial_state(meta, settings), initial_state(meta, settings)
    for _ in iterations(ours, whole, settings, draw, seed=0):
        pass
    for _ in islice(iterations(ours, first, settings, draw, seed=0), 3):
        pass
    sha256 = save(tmp_path / "c.safetensors", first, ours.network, {"best": 0.5})
    second = initial_state(meta, settings)
    checkpoint = load(tmp_path / "c.safetensors", sha256)
    checkpoint.restore(second)
    assert checkpoint.header["best"] == 0.5
    assert checkpoint.step == second.step == 3
    for _ in iterations(ours, second, settings, draw, seed=0):
        pass
    for name, p in whole.meta.params.items():
        assert torch.equal(p, second.meta.params[name])


def test_equal_states_make_equal_files(tmp_path: Path) -> None:
    ours, meta = learner()
    state = initial_state(meta, TrainingSettings())
    assert save(tmp_path / "a", state, ours.network, {}) == save(
        tmp_path / "b", state, ours.network, {}
    )
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a", "b"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    ours, meta = learner()
    path = tmp_path / "c.safetensors"
    sha256 = save(path, initial_state(meta, TrainingSettings()), ours.network, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load(path, sha256)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="no file of tensors"):
        load(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="foreign"):
        load(tmp_path / "other")


def test_another_networks_parameters_are_refused(tmp_path: Path) -> None:
    ours, meta = learner()
    save(tmp_path / "c", initial_state(meta, TrainingSettings()), ours.network, {})
    other = initial_state(meta, TrainingSettings())
    other.meta.params.popitem()
    with pytest.raises(CheckpointError, match="does not fit"):
        load(tmp_path / "c").restore(other)
