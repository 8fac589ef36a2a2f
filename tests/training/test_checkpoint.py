"""Checkpoints: everything comes back, and nothing foreign or damaged is taken."""

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy_training import draw, learner

from metapipe.errors import CheckpointError
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.training.checkpoint import load, save
from metapipe.training.loop import initial_state, iterations
from metapipe.training.tensor_file import write_tensors
from metapipe.training_settings import TrainingSettings


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


SOUND = {
    "step": 3,
    "first_loss": 1.5,
    "best": None,
    "seconds": 1.0,
    "mapping": "chunks:2",
    "classes": ["a"],
    "groups": [],
}
ODD = (
    *(None, True, -1, 10**30, 1e308, math.nan, math.inf, "", "x", [], [1], {}),
    *(
        [["a"]],
        [[1, 0.5]],
        [[1, "x"]],
        "\x1b[31m",
        "loop:3",
        "threads:0",
        "chunks:" + "9" * 5000,
        2**63,
    ),
)


def test_headers_with_anything_in_them_are_sound_or_refused(tmp_path: Path) -> None:
    """What is taken is of its kind; whatever is refused is told in a line."""
    path, refused = tmp_path / "c", list[tuple[str, str]]()
    for name in SOUND:
        for odd in ODD:
            tensors = {"params/w": torch.zeros(1)}
            write_tensors(path, "checkpoint", tensors, {**SOUND, name: odd})
            try:
                header = load(path).header
            except CheckpointError as error:
                refused.append((name, str(error)))
                continue
            if name == "mapping":
                LocalTaskMap.parse(header[name])
            elif name in ("classes", "groups"):
                assert all(isinstance(each, str) for each in header[name])
            elif name == "best" and isinstance(header[name], list):
                assert all(step >= 0 for step, _ in header[name])
            else:
                assert header[name] is None or abs(header[name]) < math.inf
    assert len(refused) > 80
    for name, message in refused:
        assert message.isprintable()
        assert len(message) < 300
        assert f"has a damaged header: {name} = " in message
