"""A run that is killed anywhere loses nothing, doubles nothing, and ends whole."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from commands import FORKS, error_line, metapipe, metapipe_json
from crashes import ITERATIONS, KILLER, TASKS, TRAINING, assert_same, ended
from sqlalchemy import text

from metapipe.runs.resumption import resumption
from metapipe.store import TaskStore, default_url
from metapipe.store.engine import connect

KILLED = -9


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that was never disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    metapipe(*TRAINING, cwd=folder)
    found = ended(default_url(folder))
    assert len(found["episodes"]) == ITERATIONS * TASKS + 4 * 10 + 20
    assert [e["purpose"] for e in found["evaluations"]] == 4 * ["validation"] + ["test"]
    return found


def kill(monkeypatch, at: str, *command: str, url: str, cwd: Path) -> None:
    """Let a command be killed at that place."""
    monkeypatch.setenv("KILLED_AT", at)
    options = ("--db", url, "--plugin-path", str(KILLER))
    metapipe(*options, *command, cwd=cwd, code=KILLED)


PLACES = {
    "before its first record": "sql INSERT INTO metrics@1",
    "between a file and its row": "sql DELETE FROM checkpoints@3",
    "between the first best file and its row": "sql INSERT INTO checkpoints@2",
    "before a file gets its name": "os.rename latest@3",
    "before the old file is removed": "os.remove latest-00000014@1",
    "after its test": "sql UPDATE runs SET accuracy@1",
    "when all is recorded": "episodes test@1",
}
ALSO_ON_POSTGRES = ("between a file and its row", "after its test")


def test_of_equal_files_the_latest_is_gone_on_from(tmp_path: Path) -> None:
    """It may have with it what the store was not told; the best has not."""
    metapipe(*TRAINING, "--iterations", "10", cwd=tmp_path)
    change(tmp_path, "DELETE FROM checkpoints")
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(1)
        (latest,) = Path(row.directory).glob("latest-*")
        for writer in "123456789":
            best = latest.with_name(f"best-00000010-{writer}.safetensors")
            best.write_bytes(latest.read_bytes())
        found = resumption(store, row)
        assert found is not None
        assert found.info.path == latest.resolve()


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_place_it_ends_the_same(
    whole: dict[str, Any], tmp_path: Path, monkeypatch, place: str
) -> None:
    assert_ends_the_same(whole, default_url(tmp_path), tmp_path, monkeypatch, place)


@pytest.mark.parametrize("place", ALSO_ON_POSTGRES)
def test_on_postgres_too(
    whole: dict[str, Any], postgres, tmp_path: Path, monkeypatch, place: str
) -> None:
    assert_ends_the_same(whole, postgres(), tmp_path, monkeypatch, place)


def assert_ends_the_same(
    whole: dict[str, Any], url: str, folder: Path, monkeypatch, place: str
) -> None:
    kill(monkeypatch, PLACES[place], *TRAINING, url=url, cwd=folder)
    with TaskStore.open(url) as store:
        status = store.run(1).status
    if place == "when all is recorded":
        assert status == "completed"
        line = error_line("--db", url, "resume", "1", cwd=folder, code=2)
        assert "run 1 is completed" in line
    else:
        assert status == "lost"
        metapipe("--db", url, "resume", "1", cwd=folder)
    assert_same(whole, ended(url))


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch) -> Path:
    """A project whose run 1 was killed after 30 iterations: it has a best checkpoint
    of iteration 20 and a latest of 28."""
    url = default_url(tmp_path)
    kill(monkeypatch, "episodes val@3", *TRAINING, url=url, cwd=tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, Path]:
    found = folder.glob(".metapipe/runs/*/*.safetensors")
    return {path.name.rpartition("-")[0]: path for path in found}


def change(folder: Path, statement: str) -> None:
    """What a foreign store, or a cut power line, may have left."""
    engine = connect(default_url(folder))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_used(
    whole: dict[str, Any], stopped: Path
) -> None:
    kept = files(stopped)
    assert set(kept) == {"best-00000020", "latest-00000028"}
    latest = kept["latest-00000028"]
    latest.write_bytes(latest.read_bytes()[:-1])
    _, err = metapipe("resume", "1", cwd=stopped)
    assert f"{latest} is damaged" in err
    assert f"going on from {kept['best-00000020']}" in err
    assert_same(whole, ended(default_url(stopped)))


def test_a_row_that_the_power_took_costs_no_checkpoint(
    whole: dict[str, Any], stopped: Path
) -> None:
    """The row of the old file is back, and the old file is gone."""
    change(
        stopped,
        "UPDATE checkpoints SET step = 21, path = replace(path, '28', '21') "
        "WHERE which = 'latest'",
    )
    _, err = metapipe("resume", "1", cwd=stopped)
    assert "run 1 from iteration 28" in err
    assert_same(whole, ended(default_url(stopped)))


def test_records_that_the_power_took_are_made_again(
    whole: dict[str, Any], stopped: Path
) -> None:
    """A checkpoint whose records are gone is not gone on from."""
    for table in ("metrics", "episodes", "evaluations"):
        change(stopped, f"DELETE FROM {table} WHERE step > 20")
    change(stopped, "UPDATE runs SET step = 20")
    _, err = metapipe("resume", "1", cwd=stopped)
    assert "run 1 from iteration 20" in err
    assert_same(whole, ended(default_url(stopped)))


def test_without_any_checkpoint_it_is_refused(stopped: Path) -> None:
    for path in files(stopped).values():
        path.unlink()
    line = error_line("resume", "1", cwd=stopped, code=1)
    assert "no checkpoint at" in line
    assert "metapipe train --from-run 1" in line


def test_a_missing_best_names_the_latest(stopped: Path) -> None:
    files(stopped)["best-00000020"].unlink()
    line = error_line("evaluate", "1", cwd=stopped, code=1)
    assert line.endswith("there is also --checkpoint latest")
    metapipe("evaluate", "1", "--checkpoint", "latest", cwd=stopped)


def test_a_foreign_row_names_no_file_that_is_read_or_removed(
    whole: dict[str, Any], stopped: Path, tmp_path: Path
) -> None:
    kept = files(stopped)
    foreign = tmp_path / kept["best-00000020"].name
    foreign.write_bytes(kept["best-00000020"].read_bytes())
    change(stopped, f"UPDATE checkpoints SET path='{foreign}' WHERE which='latest'")
    command = ("evaluate", "1", "--checkpoint", "latest")
    assert "no file of its folder" in error_line(*command, cwd=stopped, code=1)
    before = foreign.read_bytes()
    metapipe("resume", "1", cwd=stopped)
    assert foreign.read_bytes() == before
    assert_same(whole, ended(default_url(stopped)))
    metapipe("runs", "delete", "1", "--yes", cwd=stopped)
    assert foreign.read_bytes() == before


def test_a_foreign_folder_is_left_alone(stopped: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "x"
    foreign.mkdir()
    names = ("latest-00000028-abcdef.safetensors", "weights.safetensors", "notes.txt")
    for name in names:
        (foreign / name).write_text("mine")
    change(stopped, f"UPDATE runs SET directory = '{foreign}'")
    assert f"in {foreign}, where no" in error_line("resume", "1", cwd=stopped, code=1)
    metapipe("runs", "delete", "1", "--yes", cwd=stopped)
    assert {path.name for path in foreign.iterdir()} == set(names)


def test_what_killed_processes_left_goes_when_the_run_ends(
    whole: dict[str, Any], stopped: Path
) -> None:
    folder = files(stopped)["latest-00000028"].parent
    left = (
        "latest-00000007-abcdef.safetensors",
        "latest-00000014.safetensors",
        "latest-00000035.safetensors.4711.part",
        "best-00000035-abcdef.safetensors.0a1b.part",
        "error.txt",
    )
    for name in left:
        (folder / name).write_text("half")
    (folder / "notes.txt").write_text("mine")
    metapipe("resume", "1", cwd=stopped)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    assert_same(whole, ended(default_url(stopped)))


def limited(size: int, arguments: tuple[str, ...], cwd: Path, log: Path) -> None:
    """A command whose files may not grow beyond `size`."""
    os.chdir(cwd)
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    from metapipe.cli.main import main

    main(arguments)


def test_a_full_disk_costs_no_checkpoint(tmp_path: Path) -> None:
    """The network, which is larger than its records, no longer fits."""
    wide = (*TRAINING, "-s", "model.layers=[2000]", "--iterations", "2")
    log = tmp_path / "log"
    process = FORKS.Process(target=limited, args=(400_000, wide, tmp_path, log))
    process.start()
    process.join()
    assert process.exitcode == 1
    (line,) = [t for t in log.read_text().splitlines() if t.startswith("Error: ")]
    assert "cannot write" in line
    assert "-0000000" in line
    assert "File too large; 'metapipe resume 1' goes on from the start" in line
    row = metapipe_json("runs", "show", "1", cwd=tmp_path)
    assert row["status"] == "failed"
    assert row["error"] in line
    assert not list(tmp_path.rglob("*.part"))
    metapipe("resume", "1", cwd=tmp_path)
    assert ended(default_url(tmp_path))["run"][:2] == ("completed", 2)
