"""A search over settings: trials are runs, and none is lost or done twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import TINY, Command, error_line, metapipe, metapipe_json
from crashes import KILLER, assert_same, ended

from metapipe.store import TaskStore, default_url

optuna = pytest.importorskip("optuna", reason="pip install 'metapipe[sweep]'")

QUICK = (
    *TINY,
    *("--iterations", "8", "--validate-every", "4", "--checkpoint-every", "4"),
    *("-s", "evaluation.episodes=4", "--store-episodes", "none"),
)
SHOTS = ("--space", "task.shots=[1, 3, 5]")


def test_a_grid_is_gone_over_once(tmp_path: Path) -> None:
    command = ("sweep", "tune", *QUICK, *SHOTS, "--sampler", "grid")
    found = metapipe_json(*command, cwd=tmp_path)
    trials = found["trials"]
    assert [t["settings"]["task.shots"] for t in trials] == [1, 3, 5]
    assert {t["status"] for t in trials} == {"completed"}
    with TaskStore.open(default_url(tmp_path)) as store:
        rows = {row.trial: row for row in store.runs("study=tune")}
        for trial in trials:
            row = rows[trial["number"]]
            assert (row.id, row.shots) == (
                trial["run"],
                trial["settings"]["task.shots"],
            )
            assert row.name == f"tune-{row.trial}"
            assert row.accuracy is not None, "a trial has its test like any run"
            validations = [m.value for m in store.metrics(row.id, "val_accuracy")]
            assert trial["value"] == max(validations) == row.val_accuracy
    assert found["best"]["value"] == max(t["value"] for t in trials)

    # All places are tried: there is nothing left to do, and it is still shown.
    assert metapipe_json(*command, cwd=tmp_path)["trials"] == trials

    metapipe("sweep", "show", "tune", "--png", "tune.png", cwd=tmp_path)
    assert (tmp_path / "tune.png").read_bytes().startswith(b"\x89PNG")
    out, _ = metapipe("sweep", "show", "tune", cwd=tmp_path)
    assert f"trial {found['best']['number']}, run {found['best']['run']}" in out
    listed = metapipe_json("sweep", "list", cwd=tmp_path)
    assert [(row["name"], row["trials"]) for row in listed] == [
        ("tune", "3: 3 completed")
    ]
    other = (*command, "--lr", "0.5")
    assert "begun with training.lr = 0.001, and now it is 0.5" in error_line(
        *other, cwd=tmp_path, code=2
    )


def test_trials_without_hope_are_stopped(tmp_path: Path) -> None:
    """Five good ones, and then a step size that lets nothing be learned."""
    rates = "[0.01, 0.011, 0.012, 0.013, 0.014, 1e-12]"
    space = ("--space", f"training.lr={rates}", "--sampler", "grid")
    found = metapipe_json("sweep", "tune", *QUICK, *space, cwd=tmp_path)
    hopeless = found["trials"][-1]
    assert hopeless["settings"] == {"training.lr": 1e-12}
    assert (hopeless["status"], hopeless["step"]) == ("stopped", 4)
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(hopeless["run"])
        assert (row.status, row.step, row.accuracy) == ("stopped", 4, None)
        assert str(row.reason).startswith("pruned: val_accuracy")
        assert [c.which for c in store.checkpoints(row.id)], "it can be resumed"
    assert found["best"]["number"] != hopeless["number"]


def test_a_killed_workers_trial_is_resumed_to_the_same_bits(
    tmp_path: Path, monkeypatch
) -> None:
    command = ("sweep", "tune", *QUICK, "--space", "task.shots=[2, 3]")
    command = (*command, "--sampler", "grid", "--quiet")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    metapipe(*command, cwd=whole)
    monkeypatch.setenv("KILLED_AT", "os.rename latest@1")
    metapipe("--plugin-path", str(KILLER), *command, cwd=killed, code=-9)
    left = metapipe_json("sweep", "show", "tune", cwd=killed)["trials"]
    assert [t["status"] for t in left] == ["lost", "waiting"]
    monkeypatch.delenv("KILLED_AT")
    _, err = metapipe(*command, cwd=killed)
    assert err.count("trial 0 (run 1) completed") == 1
    for run in (1, 2):
        assert_same(ended(default_url(whole), run), ended(default_url(killed), run))
    first, second = (
        metapipe_json("sweep", "show", "tune", cwd=folder)["trials"]
        for folder in (whole, killed)
    )
    assert first == second


def test_an_interrupted_worker_leaves_its_trial_to_others(tmp_path: Path) -> None:
    command = ("sweep", "tune", *TINY, "--iterations", "100000", "--trials", "1")
    command = (*command, "--space", "task.shots=[2]", "--validate-every", "1000")
    worker = Command(*command, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not _steps(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    assert worker.ended()[0] == 130
    trials = metapipe_json("sweep", "show", "tune", cwd=tmp_path)["trials"]
    assert [(t["status"], t["run"]) for t in trials] == [("interrupted", 1)]


def _steps(folder: Path) -> bool:
    if not (folder / ".metapipe" / "metapipe.db").exists():
        return False
    with TaskStore.open(default_url(folder)) as store:
        rows = store.runs("study=tune")
        return bool(rows and store.metrics(rows[0].id, "loss"))


def test_workers_that_start_at_once_share_the_trials(store_url, tmp_path: Path) -> None:
    """On an empty database, of which each would make the tables."""
    command = ("--db", store_url, "sweep", "tune", *QUICK, "--workers", "2")
    space = ("--space", "training.lr={low=0.0001, high=0.1, log=true}")
    found = metapipe_json(*command, *space, "--trials", "4", cwd=tmp_path)
    assert [t["number"] for t in found["trials"]] == list(range(4))
    assert {t["status"] for t in found["trials"]} <= {"completed", "stopped"}
    assert len({t["run"] for t in found["trials"]}) == 4
    rates = [t["settings"]["training.lr"] for t in found["trials"]]
    assert len(set(rates)) == 4
    assert all(0.0001 <= rate <= 0.1 for rate in rates)
    with TaskStore.open(store_url) as store:
        assert store.count_runs("study=tune") == 4
        assert len({row.pid for row in store.runs("study=tune")}) > 1


def test_optunas_own_studies_stay_its_own(tmp_path: Path) -> None:
    url = default_url(tmp_path)
    (tmp_path / ".metapipe").mkdir()
    theirs = optuna.create_study(storage=url, study_name="theirs")
    theirs.tell(theirs.ask(), 1.0)
    command = ("sweep", "theirs", *QUICK, *SHOTS, "--sampler", "grid")
    line = error_line(*command, cwd=tmp_path, code=2)
    assert "a study of another program" in line
    assert metapipe_json("sweep", "list", cwd=tmp_path) == []


def test_a_trial_that_fails_is_told_and_the_next_is_tried(tmp_path: Path) -> None:
    space = ("--space", "task.shots=[1, 2000]", "--sampler", "grid", "--quiet")
    _, err = metapipe("sweep", "tune", *QUICK, *space, cwd=tmp_path)
    trials = metapipe_json("sweep", "show", "tune", cwd=tmp_path)["trials"]
    assert [t["status"] for t in trials] == ["completed", "failed"]
    assert "trial 1 failed" in err
    assert "2000" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("sweep", "tune"), 2, "sweep.space is empty"),
        (("sweep", "tune", "--space", "lr=[1]"), 2, "--space 'lr=[1]'"),
        (("sweep", "17", *SHOTS), 2, "a number is that of a run"),
        (("sweep", "tune", *SHOTS, "--metric", "loss"), 2, "never by the test"),
        (("sweep", "tune", *SHOTS, "--trials", "0"), 2, "sweep.trials = 0"),
        (("sweep", "tune", *SHOTS, "--shots", "3"), 2, "given (command line) and"),
        (("sweep", "tune", *SHOTS, "--name", "a"), 2, "called by its name"),
        (("sweep", "tune", *SHOTS, "--validate-every", "0"), 2, "by validation"),
        (("sweep", "show", "tune"), 1, "no sweep 'tune' in this store"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, arguments, code, said) -> None:
    given = (*arguments, *TINY[:4]) if "show" not in arguments else arguments
    assert said in error_line(*given, cwd=tmp_path, code=code)


def test_without_optuna_the_command_that_brings_it_is_told(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['optuna'] = None; "
        "from metapipe.cli.main import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, "sweep", "tune", *TINY, *SHOTS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'metapipe[sweep]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
