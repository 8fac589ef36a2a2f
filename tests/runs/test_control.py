"""Runs that learn to act: recorded by returns, played again to the bit, resumed."""

from pathlib import Path

import pytest
from commands import error_line, metapipe, metapipe_json
from crashes import KILLER, assert_same, ended

from metapipe.store import default_url

TINY = (
    *("train", "--plugin", "maml-trpo", "--dataset", "navigation2d"),
    *("-s", "model.layers=[8]", "-s", "dataset.steps=6", "--mapping", "loop"),
    *("--shots", "4", "--queries", "3", "--tasks", "4", "--iterations", "4"),
    *("-s", "evaluation.episodes=34", "-s", "evaluation.shots=5"),
    *("--validate-every", "2", "--validation-episodes", "5", "--store-episodes", "all"),
    *("--checkpoint-every", "3", "-s", "evaluation.queries=2"),
)
"""A training of seconds, with a test of two batches."""

KILLED = -9


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run was trained that was never disturbed."""
    folder = tmp_path_factory.mktemp("control")
    out, err = metapipe(*TINY, cwd=folder)
    assert "return " in out
    assert "return_by_step" in out
    assert "random_return" in out
    assert "oracle_return" in out
    assert "return -" in err
    assert "loss" not in out
    return folder


@pytest.mark.parametrize(
    "place", ["os.rename latest@1", "sql INSERT INTO checkpoints@1", "episodes test@1"]
)
def test_killed_and_resumed_it_ends_the_same(
    project, tmp_path, monkeypatch, place
) -> None:
    monkeypatch.setenv("KILLED_AT", place)
    metapipe("--plugin-path", str(KILLER), *TINY, cwd=tmp_path, code=KILLED)
    monkeypatch.delenv("KILLED_AT")
    if place != "episodes test@1":  # then all was recorded
        metapipe("resume", "1", cwd=tmp_path)
    assert_same(ended(default_url(project)), ended(default_url(tmp_path)))


def test_runs_are_listed_compared_and_found_by_their_return(project) -> None:
    (row,) = metapipe_json("runs", "list", cwd=project)
    assert row["return"] == -row["loss"]
    for where, count in (("return > -1000", 1), ("return > 0", 0)):
        found = metapipe_json("runs", "list", "--where", where, cwd=project)
        assert len(found) == count
    out, _ = metapipe("runs", "list", cwd=project)
    assert "return" in out.splitlines()[0]
    out, _ = metapipe("runs", "compare", "1", "1", cwd=project)
    assert "\nreturn" in out
    assert "\nloss" not in out
    out, _ = metapipe("runs", "show", "1", cwd=project)
    assert "4 trajectories a round" in out
    metapipe("runs", "compare", "1", "--png", "curve.png", cwd=project)


def test_an_evaluation_keeps_the_curve_over_steps(project) -> None:
    found = metapipe_json(
        "evaluate", "1", "-s", "algorithm.test_steps=3", "--episodes", "9", cwd=project
    )
    curve = found["curves"]["return_by_step"]
    assert len(curve) == 4
    assert curve[-1][0] == pytest.approx(found["return"])
    assert all(interval > 0 for _, interval in curve)
    assert found["figures"]["random_return"][0] < found["figures"]["oracle_return"][0]


def test_an_episode_is_played_again_to_the_bit(project) -> None:
    rows = metapipe_json("episodes", "list", "1", "--limit", "99", cwd=project)
    tests = [r for r in rows if r["split"] == "test" and r["evaluation_id"] == 3]
    assert len(tests) == 34
    for row in (tests[0], tests[33]):
        shown = metapipe_json("episodes", "show", str(row["id"]), cwd=project)
        assert shown["loss_now"] == row["loss"]
        assert shown["returns_now"][0] == pytest.approx(-row["loss_before"])
    number, png = str(tests[0]["id"]), project / "paths.png"
    out, _ = metapipe("episodes", "show", number, "--png", str(png), cwd=project)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "return" in out
    trained = next(row for row in rows if row["split"] == "train")
    shown = metapipe_json("episodes", "show", str(trained["id"]), cwd=project)
    assert len(shown["returns_now"]) == 2


WRONG = {
    ("train", "--plugin", "protonet", "--dataset", "navigation2d"): (
        "protonet is defined for classification, and this data set poses control: "
        "choose another algorithm with --plugin, one of"
    ),
    ("train", "--plugin", "maml-trpo", "--dataset", "omniglot"): (
        "maml-trpo is defined for control, and this data set poses classification"
    ),
    (*TINY, "--model", "conv4", "-s", "model.layers=[8]"): "layers",
    (*TINY, "--ways", "5"): "ways = 5: control has no classes; use --ways 1",
    (*TINY, "--shots", "0"): "shots = 0: this method learns a task from trajectories",
    ("adapt", "1", "--support", "."): "run 1 learned to act in worlds of navigation2d",
    ("runs", "confusion", "1"): "there are no classes",
    ("evaluate", "1", "--dataset", "bandit"): "bandit has control inputs of shape (1,)",
    ("datasets", "show", "bandit", "--png", "x.png"): "bandit has worlds, and what",
    ("runs", "list", "--where", "retrun > 1"): "did you mean 'return'?",
}


@pytest.mark.parametrize("command", WRONG)
def test_what_does_not_fit_is_told_in_a_line(project, command) -> None:
    assert WRONG[command] in error_line(*command, cwd=project, code=2)
    assert len(metapipe_json("runs", "list", cwd=project)) == 1
