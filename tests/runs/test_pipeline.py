"""Runs that are interrupted, killed and resumed, by real processes."""

import random
import signal
import time
from pathlib import Path

import pytest
import torch
from commands import PATIENCE, TINY, Command, error_line, metapipe, metapipe_json

from metapipe.store import TaskStore, default_url
from metapipe.training.checkpoint import load

LONG = (
    *("train", *TINY, "--iterations", "150", "--checkpoint-every", "7"),
    *("--validate-every", "25", "--store-episodes", "all", "--log-every", "5"),
    *("--schedule", "cosine"),
)


def final(folder: Path, run_id: int) -> dict[str, torch.Tensor]:
    with TaskStore.open(default_url(folder)) as store:
        (latest,) = [c for c in store.checkpoints(run_id) if c.which == "latest"]
    return dict(load(Path(latest.path), latest.sha256).file.tensors)


def wait_for_step(folder: Path, step: int) -> None:
    """Until the store says that the newest run has done so many iterations."""
    deadline = time.monotonic() + PATIENCE
    with TaskStore.open(default_url(folder)) as store:
        while time.monotonic() < deadline:
            rows = store.runs(limit=1)
            if rows and rows[0].step >= step:
                return
            time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached in {PATIENCE} s")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run 1 was never disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    metapipe(*LONG, cwd=folder)
    return folder


def assert_same_run(whole: Path, folder: Path) -> None:
    """Parameters, optimiser, figures and episodes are bit for bit those of `whole`."""
    expected, found = final(whole, 1), final(folder, 1)
    assert set(expected) == set(found)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    with (
        TaskStore.open(default_url(whole)) as a,
        TaskStore.open(default_url(folder)) as b,
    ):
        for name in ("loss", "accuracy", "val_loss", "grad_norm"):
            one = {m.step: m.value for m in a.metrics(1, name)}
            two = {m.step: m.value for m in b.metrics(1, name)}
            shared = set(one) & set(two)
            assert len(shared) >= 5
            if name == "val_loss":
                assert one == two
        episodes = [
            [
                (e.task, e.step, e.loss, e.accuracy)
                for e in s.episodes(1, where="purpose=null", limit=None)
            ]
            for s in (a, b)
        ]
        assert episodes[0] == episodes[1], "none lost, none twice"
        assert len(episodes[0]) == 150 * 4
        assert a.run(1).accuracy == b.run(1).accuracy
        assert a.run(1).val_accuracy == b.run(1).val_accuracy


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_random_moments_ends_the_same(
    whole: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    process = Command(*LONG, cwd=tmp_path)
    for _ in range(2):
        begun = 0
        with TaskStore.open(default_url(tmp_path)) as store:
            rows = store.runs()
            begun = rows[0].step if rows else 0
        wait_for_step(tmp_path, begun + chance.randint(8, 40))
        time.sleep(chance.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.ended()
        with TaskStore.open(default_url(tmp_path)) as store:
            assert store.run(1).status == "lost"
        process = Command("resume", "1", cwd=tmp_path)
    code, out, err = process.ended()
    assert code == 0, err
    assert "completed after 150 iterations" in out
    assert_same_run(whole, tmp_path)
    files = sorted(p.name for p in tmp_path.rglob("*.safetensors"))
    assert [name.split("-")[0] for name in files] == ["best", "latest"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_checkpoint_and_goes_on(
    whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = Command(*LONG, cwd=tmp_path)
    wait_for_step(tmp_path, 10)
    process.send_signal(number)
    code, out, err = process.ended()
    assert code == 130
    assert "metapipe resume 1" in out
    assert "Traceback" not in err
    row = metapipe_json("runs", "show", "1", cwd=tmp_path)
    assert row["status"] == "interrupted"
    assert {c["step"] for c in row["checkpoints"] if c["which"] == "latest"} == {
        row["step"]
    }
    metapipe("resume", "1", cwd=tmp_path)
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize(
    ("number", "held", "end"),
    [
        (signal.SIGTERM, "test", ("--minutes", "0.001", "--validate-every", "0")),
        (signal.SIGINT, "val", ("--iterations", "10", "--validate-every", "10")),
    ],
)
def test_a_run_that_is_interrupted_in_its_test_has_only_that_left(
    tmp_path: Path, monkeypatch, number: signal.Signals, held: str, end: tuple[str, ...]
) -> None:
    """Also where its minutes are over, and where the signal came in its last
    validation."""
    monkeypatch.setenv("HELD", held)
    plugin = ("--plugin-path", str(Path(__file__).parents[1] / "files" / "holder.py"))
    process = Command(*plugin, "train", *TINY, *end, cwd=tmp_path)
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "held").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    if held == "val":  # it ends first
        (tmp_path / "go").touch()
    code, out, err = process.ended()
    assert code == 130
    assert "only the test is left to do: metapipe resume 1" in err
    assert "metapipe resume 1" in out
    left = metapipe_json("runs", "show", "1", cwd=tmp_path)
    assert (left["status"], left["loss"]) == ("interrupted", None)
    (latest,) = [c["step"] for c in left["checkpoints"] if c["which"] == "latest"]
    assert latest == left["step"] > 0
    monkeypatch.delenv("HELD")
    which: tuple[str, ...] = ()
    if held == "val":  # and its best checkpoint is lost, too
        which = ("--checkpoint", "latest")
        next(tmp_path.rglob("best-*.safetensors")).unlink()
    _, err = metapipe("resume", "1", cwd=tmp_path)
    assert ("the test is of the latest checkpoint: no checkpoint" in err) == (
        held == "val"
    )
    done = metapipe_json("runs", "show", "1", cwd=tmp_path)
    assert done["status"] == "completed"
    for name in ("step", "checkpoints", "val_accuracy"):
        assert done[name] == left[name], name
    assert done["train_seconds"] == pytest.approx(left["train_seconds"], abs=0.01)
    again = metapipe_json("evaluate", "1", *which, cwd=tmp_path)
    assert done["loss"] == again["loss"]


def test_an_evaluation_half_way_does_not_give_the_run_its_figures(
    tmp_path: Path,
) -> None:
    process = Command(*LONG, cwd=tmp_path)
    wait_for_step(tmp_path, 10)
    process.send_signal(signal.SIGINT)
    process.ended()
    metapipe("evaluate", "1", cwd=tmp_path)
    assert metapipe_json("runs", "show", "1", cwd=tmp_path)["loss"] is None
    metapipe("resume", "1", cwd=tmp_path)
    row = metapipe_json("runs", "show", "1", cwd=tmp_path)
    tests = [each for each in row["evaluations"] if each["split"] == "test"]
    by_hand, ending = sorted(tests, key=lambda each: each["id"])
    assert row["loss"] == ending["loss"] != by_hand["loss"]


def test_a_running_run_is_not_resumed_by_another(tmp_path: Path) -> None:
    process = Command(*LONG[:-2], "--iterations", "100000", cwd=tmp_path)
    wait_for_step(tmp_path, 5)
    line = error_line("resume", "1", cwd=tmp_path, code=2)
    assert "run 1 is running" in line
    process.send_signal(signal.SIGINT)
    process.ended()


def test_a_damaged_checkpoint_is_refused(whole: Path) -> None:
    with TaskStore.open(default_url(whole)) as store:
        (best,) = [c for c in store.checkpoints(1) if c.which == "best"]
    path = Path(best.path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    line = error_line("evaluate", "1", cwd=whole, code=1)
    assert "is damaged" in line
    path.unlink()
    assert "no checkpoint at" in error_line("evaluate", "1", cwd=whole, code=1)
    path.write_bytes(content)


def test_a_time_budget_ends_a_run_as_completed(tmp_path: Path) -> None:
    arguments = (*LONG[:-2], "--iterations", "1000000", "--minutes", "0.02")
    outcome = metapipe_json(*arguments, cwd=tmp_path)
    assert outcome["status"] == "completed"
    assert 1 < outcome["step"] < 1_000_000
    assert outcome["evaluation"]["episodes"] == 20


def test_a_schedule_that_time_cuts_is_told_of(tmp_path: Path) -> None:
    arguments = (*LONG[:-2], "--iterations", "1000000", "--minutes", "1e-9")
    schedule = ("-s", "training.schedule=linear", "--lr", "0.5")
    _, told = metapipe(*arguments, *schedule, cwd=tmp_path)
    want = "ended training after 1 of 1000000 iterations: the linear schedule was cut"
    assert f"{want} at a step size of 0.5; with --iterations 1 it goes" in told
