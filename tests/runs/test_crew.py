"""Several processes do one training, and it is the same to the last bit."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import error_line, metapipe, metapipe_json, run_metapipe
from crashes import TRAINING, assert_same, ended
from crews import agents, crew, together

import metapipe as metapipe_module
from metapipe.errors import SettingError, UsageError
from metapipe.runs.sharing import shared_again, shared_evaluation
from metapipe.runs.workspace import Workspace
from metapipe.store import TaskStore, default_url

FAILING = Path(__file__).parents[1] / "files" / "failing.py"
SHARDS = ("--shards", "4")
MAML = (*TRAINING, *SHARDS)
PROTONET = (
    *(*MAML, "--plugin", "protonet", "-s", "model.normalise=true", "--lr", "0.01"),
    *("-s", "evaluation.episodes=70", "-s", "algorithm.statistics=running"),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where one process trained, by method."""
    found = {}
    for name, command in (("maml", MAML), ("protonet", PROTONET)):
        found[name] = tmp_path_factory.mktemp(name)
        metapipe(*command, cwd=found[name])
    return found


@pytest.fixture(scope="module")
def alone(folders: dict[str, Path]) -> dict[str, dict]:
    """What one process leaves, by method."""
    return {name: ended(default_url(folder)) for name, folder in folders.items()}


@pytest.mark.parametrize(
    ("method", "size"), [("maml", 2), ("maml", 3), ("protonet", 2), ("protonet", 4)]
)
def test_the_bits_do_not_depend_on_how_many_processes_there_were(
    alone, tmp_path: Path, method: str, size: int
) -> None:
    command = MAML if method == "maml" else PROTONET
    together(size, *command, cwd=tmp_path)
    assert_same(alone[method], ended(default_url(tmp_path)))
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.run(1).environment["processes"] == size


def test_an_evaluation_is_shared_too(alone, folders, tmp_path: Path) -> None:
    """Of another data set, with other settings, in three batches by two processes."""
    command = ("evaluate", "1", "--episodes", "70", "--seed", "3")
    command += ("--dataset", "glyphs", "-s", "algorithm.test_steps=2")
    metapipe(*command, cwd=folders["maml"])
    together(2, *command, cwd=folders["maml"])
    with TaskStore.open(default_url(folders["maml"])) as store:
        *_, one, two = store.evaluations(1)
        assert one.settings == {"test_steps": 2}
        own = {"id": 0, "created": one.created, "seconds": 0.0}
        assert replace(one, **own) == replace(two, **own)
        episodes = [
            [
                (e.task, e.loss, e.accuracy)
                for e in store.episodes(1, where=f"evaluation_id={each.id}", limit=None)
            ]
            for each in (one, two)
        ]
        assert episodes[0] == episodes[1]
        assert len(episodes[0]) == 70


def test_python_starts_them_and_threads_do_not_depend_on_how_many(
    tmp_path: Path,
) -> None:
    """Sums are rounded by how many threads share them: as many as a process a part
    would have, of the two that are here; and so ever after."""
    options = {"dataset": "digits", "ways": 3, "queries": 3, "tasks": 4, "shards": 2}
    options |= {"iterations": 4, "validate_every": 0, "mapping": "loop"}
    settings = {"evaluation.episodes": 40, "model.blocks": 2}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        runs = [
            metapipe_module.train(
                **options,
                settings=settings,
                processes=count,
                project=tmp_path,
                progress=False,
            )
            for count in (1, 2)
        ]
        one, two = (ended(default_url(tmp_path), run.run_id) for run in runs)
        verified = metapipe_module.verify(2, project=tmp_path)
        again = [
            metapipe_module.evaluate(2, processes=n, project=tmp_path, progress=False)
            for n in (1, 2)
        ]
    finally:
        torch.set_num_threads(before)
    assert_same(one, two)
    with TaskStore.open(default_url(tmp_path)) as store:
        assert [row.environment["threads"] for row in store.runs()] == [1, 1]
        assert store.run(2).environment["processes"] == 2
    assert verified.matches
    assert again[0].loss == again[1].loss == runs[0].evaluation.loss


def test_an_object_is_refused_that_would_hear_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="hears nothing of 2 other processes"):
        metapipe_module.train(
            dataset="digits", processes=2, observers=[object()], project=tmp_path
        )
    with pytest.raises(UsageError, match="processes = 0: take a number from 1 on"):
        metapipe_module.train(dataset="digits", processes=0, project=tmp_path)


def test_no_more_judge_than_there_are_batches(folders) -> None:
    """Of the run's own test, 20 episodes, or of those that are asked for."""
    said = "99: of 70 episodes 32 are judged at a time; take --processes 3, or more"
    asked = ("evaluate", "1", "--processes", "99", "--episodes", "70")
    assert said in error_line(*asked, cwd=folders["maml"], code=2)
    with Workspace.at(folders["maml"]) as workspace:
        row = workspace.store.run(1)
        one = ([("evaluation.episodes", 32)], 1)
        two = ([("evaluation.episodes", 33)], 2)
        for options, count in (one, two):
            assert shared_evaluation(workspace, count, 1, options) == count
            assert shared_evaluation(workspace, "auto", 1, options) <= count
            with pytest.raises(UsageError, match=f"take --processes {count}, or"):
                shared_evaluation(workspace, 3, 1, options)
        own = -(-row.config["evaluation"]["episodes"] // 32)
        with pytest.raises(UsageError, match=f"take --processes {own}, or"):
            shared_evaluation(workspace, own + 1, 1, [])


def checkpoint(folder: Path, step: int, seconds: float = 120) -> None:
    """Wait for one that is as far."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = folder.glob(".metapipe/runs/*/latest-*")
        if any(int(path.name.split("-")[1][:8]) >= step for path in found):
            return
        time.sleep(0.01)
    raise AssertionError("no checkpoint")


LONG = ("--iterations", "4000", "--validate-every", "0")
"""Nobody waits for its end."""


def test_whichever_is_asked_to_stop_all_leave_one_checkpoint(tmp_path: Path) -> None:
    started = crew(2, *MAML, *LONG, cwd=tmp_path)
    checkpoint(tmp_path, 14)
    asked = time.monotonic()
    started[1].send_signal(signal.SIGTERM)
    ends = [command.ended() for command in started]
    assert time.monotonic() - asked < 20
    assert [code for code, _, _ in ends] == [130, 130]
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(1)
        assert row.status == "interrupted"
        assert store.checkpoints(1)[-1].step == row.step


def test_what_fails_in_one_ends_all_and_the_first_tells(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FAILS_IN", "1")
    monkeypatch.setenv("FAILS_AT", "9")
    options = ("--plugin-path", str(FAILING))
    begun = time.monotonic()
    err, _ = together(
        2, *options, *MAML, "--plugin", "failing", cwd=tmp_path, codes=[1, 1]
    )
    assert "Error: process 1: the disk of this machine is full" in err
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(1)
        assert (row.status, row.step) == ("failed", 7)
        assert row.finished is not None
    assert time.monotonic() - begun < 60
    metapipe(*options, "resume", "1", cwd=tmp_path)


def test_one_that_hangs_is_waited_for_as_long_as_is_set(tmp_path: Path, monkeypatch):
    (tmp_path / "metapipe.toml").write_text("[processes]\nwait = 3\n")
    monkeypatch.setenv("FAILS_IN", "1")
    monkeypatch.setenv("FAILS_AT", "9")
    monkeypatch.setenv("FAILS_BY", "hanging")
    options = ("--plugin-path", str(FAILING))
    first, second = crew(2, *options, *MAML, "--plugin", "failing", cwd=tmp_path)
    code, _, err = first.ended()
    second.send_signal(signal.SIGKILL)
    second.ended()
    assert code == 1
    assert (
        "Error: no answer for 3 s from process 1 of 2: it hangs or is "
        "gone (processes.wait says how long); metapipe resume 1"
    ) in err
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.run(1).status == "lost"


def test_more_processes_than_shards_are_refused(tmp_path: Path) -> None:
    err, *_ = together(2, *TRAINING, cwd=tmp_path, codes=[2, 2])
    assert "Error: 2 processes: training.shards = 1; give --shards 2" in err
    code, _, err = run_metapipe(*MAML, "--processes", "5", cwd=tmp_path)
    assert code == 2
    assert "Error: --processes 5: training.shards = 4; give --shards 5, or at " in err
    code, _, err = run_metapipe(*TRAINING, "--processes", "5", cwd=tmp_path)
    assert code == 2
    assert "Error: --processes 5: training.tasks = 4; take at most 4 processes" in err
    for wrong in ("four", "0"):
        code, _, err = run_metapipe(*TRAINING, "--processes", wrong, cwd=tmp_path)
        assert code == 2
        assert f"'{wrong}': take a number from 1 on, or 'auto'" in err
    for dry, said in ((TRAINING, "tasks = 4"), (MAML, "shards = 4")):
        code, _, err = run_metapipe(*dry, "--processes", "5", "--dry-run", cwd=tmp_path)
        assert (code, f"--processes 5: training.{said}; " in err) == (2, True)
    told = metapipe_json(*TRAINING, "--processes", "2", "--dry-run", cwd=tmp_path)
    assert told["experiment"]["training"]["shards"] == told["memory"]["tasks"] == 2


def test_a_run_that_goes_on_keeps_its_shards(folders, tmp_path: Path) -> None:
    asked = ("resume", "1", "--processes", "5")
    line = error_line(*asked, cwd=folders["maml"], code=2)
    assert line == (
        "--processes 5: run 1 keeps training.shards = 4; take --processes 4, or begin "
        "anew with metapipe train --from-run 1 --shards 5"
    )
    (tmp_path / "metapipe.toml").write_text("[processes]\ncount = 5\n")
    with Workspace.at(tmp_path, default_url(folders["maml"])) as workspace:
        assert shared_again(workspace, None, 1) == 4


@pytest.mark.long
def test_two_agents_of_torchrun_train_to_the_bits_of_one_process(
    alone, tmp_path: Path
) -> None:
    """As on two machines; benchmarks/kills.py --agents loses one of them."""
    ends = [agent.ended() for agent in agents("2", *MAML, cwd=tmp_path)]
    assert [code for code, _, _ in ends] == [0, 0], ends
    out = "".join(out for _, out, _ in ends)
    assert out.count("run 1 completed after 40 iterations") == 1, "one of them tells"
    assert_same(alone["maml"], ended(default_url(tmp_path)))
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.run(1).environment["processes"] == 2
        assert store.run(1).job == "night"


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_killed_is_started_again_and_ends_in_the_same_bits(
    alone, tmp_path: Path, monkeypatch, rank: int
) -> None:
    monkeypatch.setenv("FAILS_IN", str(rank))
    monkeypatch.setenv("FAILS_AT", "16")
    monkeypatch.setenv("FAILS_BY", "dying")
    command = [sys.executable, "-m", "metapipe", "--plugin-path", str(FAILING), *MAML]
    command += ["--plugin", "failing", "--processes", "2", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=240)
    err = done.stderr.decode()
    assert done.returncode == 0, err
    assert json.loads(done.stdout)["status"] == "completed"
    assert "run 1 from iteration 14" in err
    assert "Traceback" not in err
    assert_same(alone["maml"], ended(default_url(tmp_path)))
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.count_runs() == 1
