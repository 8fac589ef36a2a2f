"""Runs that learn to act: recorded by returns, played again to the bit, resumed."""

from pathlib import Path

import pytest
from commands import error_line, metapipe, metapipe_json
from crashes import KILLER, assert_same, ended
from starlette.testclient import TestClient

from metapipe import UsageError, train
from metapipe.runs.workspace import Workspace
from metapipe.store import default_url
from metapipe.ui.application import application
from metapipe.ui.site import Site

TINY = (
    *("train", "--plugin", "maml-trpo", "--dataset", "navigation2d"),
    *("-s", "model.layers=[8]", "-s", "dataset.steps=6", "--mapping", "loop"),
    *("--shots", "4", "--queries", "3", "--tasks", "4", "--iterations", "4"),
    *("-s", "evaluation.episodes=9", "-s", "evaluation.shots=200"),
    *("--validate-every", "2", "--validation-episodes", "5", "--store-episodes", "all"),
    *("--checkpoint-every", "3", "-s", "evaluation.queries=2"),
)
"""A training of seconds, with a test of two batches: 6 tasks, then 3."""

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
    "at",
    [
        pytest.param("sql INSERT INTO checkpoints@2", id="in the middle"),
        pytest.param("os.rename latest@2", id="when the best of the last was kept"),
    ],
)
def test_killed_and_resumed_it_ends_the_same(
    project, tmp_path, monkeypatch, at
) -> None:
    monkeypatch.setenv("KILLED_AT", at)
    metapipe("--plugin-path", str(KILLER), *TINY, cwd=tmp_path, code=KILLED)
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
    metapipe("runs", "compare", "1", "--png", "curve.png", cwd=project)


def test_returns_stand_beside_those_of_others_and_no_losses_are_drawn(project) -> None:
    """In the table of evaluations, and on the pages of the run and of an episode."""
    out, _ = metapipe("runs", "show", "1", cwd=project)
    head = next(line for line in out.splitlines() if line.startswith("id  purpose"))
    assert head.split()[-4:-1] == ["return", "random_return", "oracle_return"]
    (row, *_) = metapipe_json("episodes", "list", "1", "--limit", "1", cwd=project)
    with Workspace.at(project) as workspace:
        page = TestClient(application(Site(workspace, ())), "http://127.0.0.1")
        shown = page.get("/runs/1").text
        assert "return before" in shown
        assert "loss before" not in shown
        episode = page.get(f"/episodes/{row['id']}").text
    assert "Trajectories of each round" in episode


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
    where = ("--where", "return < 0 and purpose=test", "--sort", "-return")
    best, *_, worst = metapipe_json("episodes", "list", "1", *where, cwd=project)
    assert 0 > best["return"] > worst["return"] == -worst["loss"]
    rows = metapipe_json("episodes", "list", "1", "--limit", "99", cwd=project)
    tests = [r for r in rows if r["split"] == "test" and r["evaluation_id"] == 3]
    assert len(tests) == 9
    for row in (tests[0], tests[8]):
        shown = metapipe_json("episodes", "show", str(row["id"]), cwd=project)
        assert shown["loss_now"] == row["loss"]
        assert shown["return_by_step_now"][0] == pytest.approx(-row["loss_before"])
    number, png = str(tests[0]["id"]), project / "paths.png"
    out, _ = metapipe("episodes", "show", number, "--png", str(png), cwd=project)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "return" in out
    trained = next(row for row in rows if row["split"] == "train")
    shown = metapipe_json("episodes", "show", str(trained["id"]), cwd=project)
    assert len(shown["return_by_step_now"]) == 2


WRONG = {
    "protonet is defined for classification, and this data set poses control: choose "
    "another algorithm with --plugin, one of": {"plugin": "protonet"},
    "maml-trpo is defined for control, and this data set poses classification": {
        "dataset": "omniglot"
    },
    "ways = 5: control has no classes; use --ways 1": {"ways": 5},
    "task.ways_to = 3: control has no classes; leave it out": {"ways_to": 3},
    "shots = 0: this method learns a task from trajectories, at least one": {
        "shots": 0
    },
    "shots = 3: this method learns a world while it acts": {
        "plugin": "rl2",
        "shots": 3,
    },
    "conv4 takes images": {"model": "conv4"},
    "'dataset.vary' .* is one setting: write dataset.vary={ NAME = VALUE }": {
        "dataset": "gymnasium",
        "settings": {"dataset.vary.g": 5},
    },
}


@pytest.mark.parametrize("told", WRONG)
def test_what_does_not_fit_is_refused_before_a_run_is_entered(
    tmp_path, monkeypatch, told
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"plugin": "maml-trpo", "dataset": "navigation2d", **WRONG[told]}
    with pytest.raises(UsageError, match=told):
        train(**asked)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_is_done_with_classes_alone_is_refused(project) -> None:
    line = error_line("adapt", "1", "--support", ".", cwd=project, code=2)
    assert "run 1 learned to act in worlds of navigation2d" in line
    line = error_line("runs", "confusion", "1", cwd=project, code=2)
    assert "there are no classes" in line


FALLING = """
from dataclasses import dataclass
from metapipe import hookimpl
from metapipe_plugins.datasets.navigation2d import Navigation2D, Plane, Points


class Hole(Points):
    def act(self, actions):
        rewards, ended, late = super().act(actions)
        return rewards / self.ground, ended, late


@dataclass(frozen=True)
class Falling(Plane):
    def worlds(self, tasks, copies):
        hole = Hole(super().worlds(tasks, copies).goals, self.settings)
        hole.ground = 0 * hole.goals[:, 0] + (tasks[0].index != 12 or MENDED)
        return hole


class Holes(Navigation2D):
    def open(self, split):
        return Falling(self, split, self.steps)


@hookimpl
def register_datasets(register):
    register("holes", Holes)
"""


def test_a_world_that_fails_ends_a_run_that_can_go_on(tmp_path) -> None:
    plugin = tmp_path / "holes.py"
    plugin.write_text(FALLING.replace("MENDED", "False"))
    here = ("--plugin-path", str(plugin))
    options = (*TINY, "--dataset", "holes", "--checkpoint-every", "1")
    line = error_line(*here, *options, cwd=tmp_path, code=1)
    assert line.startswith(
        "holes/train episode 12, seed 0, at step 1 of round 0: the reward is not finite"
    )
    assert line.endswith("; run 1 has failed: metapipe resume 1")
    (row,) = metapipe_json(*here, "runs", "list", cwd=tmp_path)
    assert (row["status"], row["step"]) == ("failed", 3)
    assert row["error"] in line
    plugin.write_text(FALLING.replace("MENDED", "True"))
    metapipe(*here, "resume", "1", cwd=tmp_path)
