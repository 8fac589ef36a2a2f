"""Runs on a GPU, by the command line: what they leave is good on a CPU, and back.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

from pathlib import Path

import pytest
from commands import metapipe_json, run_metapipe
from pictures import write_classes

from metapipe.store import TaskStore, default_url

pytestmark = pytest.mark.cuda
TRAIN = (
    *("train", "--dataset", "digits", "--ways", "3", "--queries", "3", "--tasks", "3"),
    *("--iterations", "6", "--validate-every", "3", "--validation-episodes", "3"),
    *("-s", "model.width=8", "-s", "model.blocks=2", "-s", "evaluation.episodes=8"),
)
WORLD = (
    *("train", "--plugin", "maml-trpo", "--dataset", "navigation2d", "--shots", "2"),
    *("--queries", "2", "--tasks", "2", "--iterations", "2", "--validate-every", "0"),
    *("-s", "model.layers=[8]", "-s", "dataset.steps=5", "-s", "evaluation.episodes=3"),
)


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch):
    """Calls a command where there is no GPU."""

    def run(*arguments: str, cwd: Path):
        with monkeypatch.context() as here:
            here.setenv("CUDA_VISIBLE_DEVICES", "")
            return metapipe_json(*arguments, cwd=cwd)

    return run


@pytest.mark.parametrize("plugin", ["protonet", "maml"])
def test_what_was_trained_on_the_one_works_on_the_other(
    tmp_path, without_gpu, plugin
) -> None:
    support = write_classes(tmp_path / "support", {"a": 3, "b": 3, "c": 3})
    query = write_classes(tmp_path / "query", {"a": 2, "b": 2, "c": 2})
    commands = {"cuda": metapipe_json, "cpu": without_gpu}
    for device, other in (("cuda", "cpu"), ("cpu", "cuda")):
        trained = commands[device](
            *TRAIN, "--plugin", plugin, "--name", device, cwd=tmp_path
        )
        assert trained["device"] == device
        ask = ("evaluate", device)
        here, there = (commands[where](*ask, cwd=tmp_path) for where in (device, other))
        assert there["loss"] == pytest.approx(here["loss"], rel=1e-3, abs=1e-4)
        adapt = ("adapt", device, "--support", str(support), "--query", str(query))
        file = tmp_path / f"{device}.safetensors"
        ours = commands[device](*adapt, "--out", str(file), cwd=tmp_path)
        theirs = commands[other](*adapt, cwd=tmp_path)
        assert theirs["query"]["loss"] == pytest.approx(
            ours["query"]["loss"], rel=1e-3, abs=1e-4
        )
        ask = ("predict", str(file), str(query))
        mine, yours = (commands[where](*ask, cwd=tmp_path) for where in (device, other))
        for one, two in zip(mine, yours, strict=True):
            assert two["probabilities"] == pytest.approx(
                one["probabilities"], rel=1e-3, abs=1e-4
            )


@pytest.mark.parametrize(
    "train", [(*TRAIN, "--plugin", "maml"), (*TRAIN, "--plugin", "protonet"), WORLD]
)
def test_a_run_is_verified_to_the_bit_and_its_episodes_come_again(
    tmp_path, train
) -> None:
    found = metapipe_json(*train, cwd=tmp_path)
    assert found["device"] == "cuda"
    verified = metapipe_json("runs", "verify", "1", cwd=tmp_path)
    assert verified["matches"], verified
    with TaskStore.open(default_url(tmp_path)) as store:
        (row,) = store.runs()
        assert row.device == "cuda"
        episode = store.episodes(1)[-1]
    replayed = metapipe_json("episodes", "show", str(episode.id), cwd=tmp_path)
    assert replayed["loss"] == pytest.approx(episode.loss, rel=1e-3, abs=1e-4)


def test_features_of_a_backbone_are_learned_from(tmp_path, without_gpu) -> None:
    support = write_classes(tmp_path / "support", {"a": 4, "b": 4})
    adapt = ("adapt", "--backbone", "gradients", "--support", str(support))
    file = tmp_path / "adapted.safetensors"
    metapipe_json(*adapt, "--out", str(file), cwd=tmp_path)
    ask = ("predict", str(file), str(support))
    ours, theirs = metapipe_json(*ask, cwd=tmp_path), without_gpu(*ask, cwd=tmp_path)
    for one, two in zip(ours, theirs, strict=True):
        assert two["probabilities"] == pytest.approx(one["probabilities"], abs=1e-3)


def test_a_device_that_is_not_there_is_told_in_a_line(tmp_path) -> None:
    code, _, err = run_metapipe(*TRAIN, "-s", "run.device=cuda:99", cwd=tmp_path)
    assert code == 2
    assert "run.device = 'cuda:99': this machine has" in err
    assert "Traceback" not in err
