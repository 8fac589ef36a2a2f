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
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_what_was_trained_on_the_one_works_on_the_other(
    tmp_path, without_gpu, plugin, device
) -> None:
    support = write_classes(tmp_path / "support", {"a": 3, "b": 3, "c": 3})
    query = write_classes(tmp_path / "query", {"a": 2, "b": 2, "c": 2})
    here, there = metapipe_json, without_gpu
    if device == "cpu":
        here, there = there, here
    trained = here(*TRAIN, "--plugin", plugin, cwd=tmp_path)
    assert trained["device"] == device
    ours, theirs = (run("evaluate", "1", cwd=tmp_path) for run in (here, there))
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-3, abs=1e-4)
    adapt = ("adapt", "1", "--support", str(support), "--query", str(query))
    file = tmp_path / "adapted.safetensors"
    ours = here(*adapt, "--out", str(file), cwd=tmp_path)["query"]
    theirs = there(*adapt, cwd=tmp_path)["query"]
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-3, abs=1e-4)
    ask = ("predict", str(file), str(query))
    ours, theirs = (run(*ask, cwd=tmp_path) for run in (here, there))
    for one, other in zip(ours, theirs, strict=True):
        assert other["probabilities"] == pytest.approx(
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


def test_a_run_that_asked_for_a_gpu_is_judged_without_one(
    tmp_path, without_gpu
) -> None:
    asked = ("-s", "run.device=cuda", "-s", "run.precision=tf32")
    found = metapipe_json(*TRAIN, "--plugin", "protonet", *asked, cwd=tmp_path)
    ours, theirs = (
        run("evaluate", "1", cwd=tmp_path) for run in (metapipe_json, without_gpu)
    )
    assert found["device"] == "cuda"
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=0.05)
    with TaskStore.open(default_url(tmp_path)) as store:
        told = store.run(1).environment
    assert {told[name] for name in ("tf32_matmul", "tf32_cudnn")} == {True}
    assert told["cudnn_deterministic"]
    assert told["deterministic_algorithms"]
    assert not told["cudnn_benchmark"]
    assert told["cublas_workspace"] == ":4096:8"
    assert told["cudnn"] > 8000
    assert told["gpu"]
