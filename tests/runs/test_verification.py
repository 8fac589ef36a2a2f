"""A run done again: the same, bit for bit, or what is not."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from commands import error_line, metapipe, metapipe_json

import metapipe as mp
from metapipe import UsageError

SETTINGS = {
    "model.layers": [6],
    "evaluation.episodes": 5,
    "training.log_every": 4,
    "training.checkpoint_every": 4,
}


class Stop:
    """Between two records, as an interruption does."""

    @mp.hookimpl
    def stop_run(self, run, step, metrics):
        return "asked" if step == 6 else None


def train(folder: Path, **options):
    return mp.train(
        plugin="protonet",
        model="mlp",
        dataset="digits",
        settings=SETTINGS,
        ways=3,
        queries=2,
        tasks=3,
        iterations=10,
        validate_every=6,
        validation_episodes=3,
        progress=False,
        project=folder,
        **options,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Run 1 went through; run 2 was stopped and resumed; another test of run 1."""
    folder = tmp_path_factory.mktemp("verification")
    (folder / "metapipe.toml").write_text("")
    train(folder)
    stopped = train(folder, observers=[Stop()])
    assert stopped.status == "stopped"
    assert mp.resume(2, project=folder, progress=False).status == "completed"
    mp.evaluate(1, project=folder, shots=2, episodes=4)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return shutil.copytree(trained, tmp_path / "project")


def change(project: Path, statement: str) -> None:
    connection = sqlite3.connect(project / ".metapipe" / "metapipe.db")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def content(project: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in project.rglob("*") if p.is_file()}


@pytest.mark.parametrize("run", [1, 2])
def test_a_run_comes_out_the_same(trained: Path, run: int) -> None:
    before = content(trained)
    found = mp.verify(run, project=trained)
    assert found.matches, found.first_difference
    assert (found.run_id, found.iterations) == (run, 10)
    assert not found.differences
    compared = {(each.what, each.step) for each in found.compared}
    steps = [4, 6, 8, 10]
    assert {(n, s) for n in ("loss", "grad_norm", "lr") for s in steps} <= compared
    assert ("the latest checkpoint", 10) in compared
    assert {what for what, _ in compared} >= {
        "the best checkpoint",
        "the loss of validation",
        "equal episodes of validation",
    }
    tests = [each for each in found.compared if "accuracy of test" in each.what]
    assert len(tests) == (2 if run == 1 else 1)
    assert content(trained) == before, "nothing is written"


def test_a_part_is_done_again(trained: Path) -> None:
    part = mp.verify(1, project=trained, iterations=5)
    assert part.matches
    assert {each.step for each in part.compared} == {4}
    tests = mp.verify(1, project=trained, evaluation=True)
    assert tests.matches
    assert tests.iterations == 0
    assert {each.recorded for each in tests.compared if "equal" in each.what} == {4, 5}


@pytest.mark.parametrize(
    ("statement", "what", "step"),
    [
        (
            "update metrics set value = value + 1e-12 where name = 'loss' and step = 6",
            "loss",
            6,
        ),
        (
            "update evaluations set loss = loss + 1e-12 where purpose = 'validation'",
            "the loss of validation",
            6,
        ),
        (
            "update episodes set loss = 0 where id in (select max(e.id) "
            "from episodes e join evaluations v on v.id = e.evaluation_id "
            "where v.run_id = 1)",
            "equal episodes of test",
            None,
        ),
        ("update runs set seed = 1, fingerprint = 'x'", "the data's fingerprint", 0),
        (
            "update runs set config = json_set(config, '$.run.seed', 7)",
            "accuracy",
            4,
        ),
    ],
)
def test_what_is_another_is_told(project: Path, statement, what, step) -> None:
    change(project, statement)
    other = mp.verify(1, project=project).first_difference
    assert other is not None
    assert other.what.startswith(what)
    assert step is None or other.step == step
    assert other.recorded != other.found


def test_what_it_depends_on_is_told(project: Path) -> None:
    change(
        project,
        "update runs set environment = json_set(environment, '$.threads', 64, "
        "'$.torch', '0.4.1'), mapping = 'loop'",
    )
    found = mp.verify(1, project=project, iterations=4)
    assert set(found.differences) == {"threads", "torch"}
    assert found.differences["torch"][0] == "0.4.1"


def test_the_command_ends_as_it_found(project: Path) -> None:
    assert "the same, bit for bit" in metapipe("runs", "verify", "1", cwd=project)[0]
    change(project, "update metrics set value = 0 where name = 'lr' and step = 4")
    found = metapipe_json("runs", "verify", "1", cwd=project, code=1)
    assert found["matches"] is False
    assert found["compared"][-1]["what"] == "lr"
    out, _ = metapipe("runs", "verify", "1", cwd=project, code=1)
    assert "lr at iteration 4 was 0.0, and is 0.001 now" in out


def test_what_cannot_be_verified_is_refused(project: Path) -> None:
    with pytest.raises(UsageError, match="take one"):
        mp.verify(1, project=project, iterations=3, evaluation=True)
    line = error_line("runs", "verify", "1", "--iterations", "3", cwd=project, code=2)
    assert line == "run 1 has no record to compare up to iteration 3: take more"
    change(project, "update runs set backbone = 'x@y' where id = 2")
    with pytest.raises(UsageError, match="nothing was trained"):
        mp.verify(2, project=project)
    for path in (project / ".metapipe" / "runs").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    line = error_line("runs", "verify", "1", cwd=project, code=1)
    assert "is damaged" in line
