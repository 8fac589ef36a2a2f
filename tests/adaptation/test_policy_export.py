"""Policies of runs as files: the same function, step by step, as acts in worlds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import error_line, metapipe, metapipe_json

from metapipe import Task
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load as load_registry
from metapipe.runs.stored_run import stored_checkpoint, trained_learner
from metapipe.store import TaskStore, default_url
from metapipe.training.rollout import collect

QUICK = (
    *("--tasks", "4", "--iterations", "2", "--validate-every", "0"),
    *("-s", "evaluation.episodes=2"),
)
PLANE = ("--plugin", "maml-trpo", "--dataset", "navigation2d", "-s", "dataset.steps=3")
BANDIT = ("--plugin", "rl2", "-s", "algorithm.width=6", "--dataset", "bandit")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 adapts, run 2 remembers, run 3 remembers more and more."""
    folder = tmp_path_factory.mktemp("policies")
    few = ("--shots", "2", "--queries", "2", "-s", "model.layers=[5]")
    metapipe("train", *PLANE, *QUICK, *few, cwd=folder)
    metapipe("train", *BANDIT, *QUICK, cwd=folder)
    snail = ("--plugin", "snail-rl", "--dataset", "bandit")
    metapipe("train", *snail, *QUICK, cwd=folder)
    return folder


def opened(project: Path, run: int):
    """The experiment of a run, its learner and what that has learned."""
    with TaskStore.open(default_url(project)) as store:
        row = store.run(run)
        experiment = Experiment.from_dict(row.config, load_registry(()))
        checkpoint = stored_checkpoint(store, row, "best")
    return experiment, *trained_learner(experiment, checkpoint, row)


def program(path: Path):
    """What a file of torch.export computes."""
    return torch.export.load(path).module()


def test_a_policy_that_adapts_is_its_network(project) -> None:
    found = metapipe_json("export", "1", "--torch", "x.pt2", cwd=project)
    assert found["takes"] == {"observation": ["n", 2]}
    assert found["gives"] == {"parameters": ["n", 4]}
    theta = {k: p.numpy() for k, p in opened(project, 1)[2].params.items()}
    seen = np.linspace(-1, 1, 14, dtype=np.float32).reshape(7, 2)
    hidden = seen @ theta["mean.linear1.weight"].T + theta["mean.linear1.bias"]
    means = hidden.clip(0) @ theta["mean.head.weight"].T + theta["mean.head.bias"]
    said = program(project / "x.pt2")(torch.from_numpy(seen)).numpy()
    assert said[:, :2] == pytest.approx(means, abs=1e-6)
    assert said[:, 2:] == pytest.approx(np.tile(theta["log_std"], (7, 1)), abs=1e-6)


def test_a_policy_that_remembers_says_what_it_said_in_its_world(project) -> None:
    onnxruntime = pytest.importorskip(
        "onnxruntime", reason="pip install 'metapipe[onnx]'"
    )
    out, _ = metapipe("export", "2", "--onnx", "x.onnx", cwd=project)
    assert "hidden (n, 6)" in out
    assert "a logit for each action" in out
    experiment, learner, meta = opened(project, 2)
    tasks = [Task("bandit", "test", 7, index, 1, 0, 1) for index in range(3)]
    arena = experiment.dataset.open("test")
    drawn = collect(learner, meta, arena, tasks, training=False).query
    session = onnxruntime.InferenceSession(str(project / "x.onnx"))
    none = np.zeros(3, np.float32)
    told = {"action": none.astype(np.int64), "reward": none, "ended": none > 0}
    memory = np.zeros((3, 6), np.float32)
    for step in range(10):
        seen = drawn.inputs[:, 0, step].numpy()
        given = {"observation": seen, **told, "begun": none == 0, "hidden": memory}
        given["begun"] &= step > 0
        said, memory = session.run(None, given)
        assert said == pytest.approx(drawn.outputs[:, 0, step, :5].numpy(), abs=1e-5)
        told = {
            "action": drawn.targets[:, 0, step].numpy(),
            "reward": drawn.rewards[:, 0, step].numpy(),
            "ended": drawn.ends[:, 0, step].numpy(),
        }
    assert (said[0] != said[1]).any()


def test_what_cannot_be_a_file_is_refused_in_a_line(project) -> None:
    line = error_line("export", "3", "--torch", "y.pt2", cwd=project, code=2)
    assert "its memory grows from step to step" in line
    line = error_line("predict", "3", "y.png", cwd=project, code=2)
    assert line.endswith("predicts nothing of files: metapipe evaluate 3 lets it act")
    line = error_line("export", "9", "--torch", "y.pt2", cwd=project, code=1)
    assert line.startswith("there is no file '9', and no run '9'")
    assert not (project / "y.pt2").exists()
