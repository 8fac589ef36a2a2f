"""`db check`: each fault is found where it is, and a store that has none is whole."""

import shutil
from pathlib import Path

import pytest
from kept_runs import change, checkpoint, keep_two, opened, told
from store_rows import RUN

from metapipe.runs.store_check import Checked, check
from metapipe.store import TaskStore


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("kept")
    keep_two(url_of(project), project)
    return project


@pytest.fixture
def project(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "project"))


def url_of(project: Path) -> str:
    return f"sqlite:///{project / '.metapipe' / 'metapipe.db'}"


def checked(project: Path, **options: bool) -> Checked:
    with opened(url_of(project), project) as store:
        return check(store, **options)


def test_a_store_with_no_fault_is_whole(store_url, tmp_path) -> None:
    keep_two(store_url, tmp_path)
    before = told(store_url)
    with opened(store_url, tmp_path) as store:
        found = check(store)
        assert store.begin_run(RUN)
        assert check(store).whole, "also while a run is running"
    assert (found.faults, found.files, found.rows["runs"]) == ([], 4, 2)
    assert {name: rows[:1] for name, rows in told(store_url).items() if rows} == {
        name: rows[:1] for name, rows in before.items() if rows
    }


WRONG = {
    "DELETE FROM runs WHERE id = 1": ("orphaned rows", "episodes", "run_id 1"),
    "DELETE FROM evaluations WHERE id = 2": ("orphaned rows", "episodes", "id 2"),
    "UPDATE runs SET finished = NULL WHERE id = 2": (
        "ended without an end",
        "run 2",
        "completed at step 100 of 100",
    ),
    "UPDATE runs SET finished = '2001-01-01 00:00:00.000000' WHERE id = 2": (
        "an end before its begin",
        "run 2",
        "completed",
    ),
    "UPDATE runs SET status = 'done' WHERE id = 2": (
        "a status that there is not",
        "run 2",
        "done",
    ),
    "UPDATE runs SET step = 99 WHERE id = 1": (
        "completed before its last step",
        "run 1",
        "99 of 100",
    ),
    "UPDATE metrics SET step = 101 WHERE run_id = 1 AND step = 100": (
        "records of steps to come",
        "run 1",
        "metrics of step 101",
    ),
    "DELETE FROM episodes WHERE id = 5": (
        "episodes that are not there",
        "run 1",
        "evaluation 1 has 2 episodes and says 3",
    ),
    "UPDATE episodes SET run_id = 2 WHERE id = 5": (
        "episodes of another run",
        "run 2",
        "episode 5 is of an evaluation of run 1",
    ),
    'UPDATE episodes SET "index" = 0 WHERE id IN (1, 2, 3)': (
        "recorded twice",
        "run 1",
        "1 training episodes",
    ),
    "UPDATE evaluations SET purpose = 'validation', step = 50, split = 'val' "
    "WHERE id = 2": ("recorded twice", "run 1", "1 validations"),
    "UPDATE checkpoints SET path = '/etc/passwd' WHERE run_id = 1": (
        "a file that is not the run's",
        "run 1",
        "/etc/passwd",
    ),
    "UPDATE checkpoints SET bytes = 7 WHERE run_id = 1": (
        "damaged checkpoint",
        "run 1",
        "bytes, and not 7",
    ),
}


@pytest.mark.parametrize("statement", WRONG)
def test_rows_that_contradict_each_other_are_found(statement, project) -> None:
    change(url_of(project), statement)
    found = checked(project)
    assert not found.whole
    what, where, detail = WRONG[statement]
    assert [
        fault
        for fault in found.faults
        if (fault.what, fault.where) == (what, where) and detail in fault.detail
    ], found.faults


def test_files_are_compared_with_their_rows(project) -> None:
    with TaskStore.open(url_of(project)) as store:
        one, two = (Path(row.path) for row in store.checkpoints(1))
    content = bytearray(one.read_bytes())
    content[77] ^= 1
    one.write_bytes(content)
    two.unlink()
    checkpoint(one.parent, "latest", 99)
    found = checked(project)
    assert [(fault.what, fault.where) for fault in found.faults] == [
        ("damaged checkpoint", "run 1"),
        ("missing checkpoint", "run 1"),
        ("file without a row", "run 1"),
    ]
    assert checked(project, files=False).whole


def test_what_lies_on_another_machine_is_said_so(project) -> None:
    change(url_of(project), "UPDATE runs SET host = 'gpu7' WHERE id = 1")
    with TaskStore.open(url_of(project)) as store:
        shutil.rmtree(store.run(1).directory)
    details = [fault.detail for fault in checked(project).faults]
    assert len(details) == 2
    assert all("it was written on gpu7" in detail for detail in details)


def test_what_a_run_left_that_the_store_has_not_is_harmless(project) -> None:
    change(url_of(project), "DELETE FROM checkpoints WHERE run_id = 2")
    change(
        url_of(project), "UPDATE runs SET status = 'interrupted', step = 100 WHERE id=2"
    )
    stranger = project / ".metapipe" / "runs" / "20200101-000000-abcdef"
    stranger.mkdir()
    found = checked(project)
    assert found.whole
    whats = [fault.what for fault in found.faults]
    assert whats == ["file without a row"] * 2 + ["files without a run"]


def test_a_damaged_file_is_told(project) -> None:
    path = project / ".metapipe" / "metapipe.db"
    pages = bytearray(path.read_bytes())
    pages[4096 * 8 : 4096 * 9] = b"\xff" * 4096
    path.write_bytes(pages)
    found = checked(project)
    assert not found.whole
    assert {fault.what for fault in found.faults} == {"damaged database"}


def test_a_run_whose_time_was_over_is_whole(project) -> None:
    """It is completed before the last of its iterations, as it was asked to be."""
    change(
        url_of(project),
        "UPDATE runs SET iterations = 101, "
        "config = json_set(config, '$.training', json_object('minutes', 0.5)) "
        "WHERE status = 'completed'",
    )
    assert checked(project).whole
