"""What is pruned goes, is remembered, and nothing else goes with it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from kept_runs import change, keep_run, keep_two, opened, told
from store_rows import RUN

from metapipe.errors import CheckpointError, NotFoundError, UsageError
from metapipe.runs.pruning import prune
from metapipe.runs.removal import remove_run
from metapipe.runs.resumption import resumption
from metapipe.runs.store_check import check
from metapipe.runs.stored_run import checkpoint_row, stored_checkpoint
from metapipe.store import TaskStore
from metapipe.store.ages import moment, pruning_rule
from metapipe.store.pruning_rule import PruningRule


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[TaskStore]:
    keep_two(store_url, tmp_path)
    with opened(store_url, tmp_path) as found:
        yield found


def files(store: TaskStore) -> list[str]:
    runs = store.runs(sort="id")
    return sorted(path.name for run in runs for path in Path(run.directory).iterdir())


def test_an_age_is_a_moment() -> None:
    assert moment("36h") - moment("3d") == pytest.approx(
        timedelta(hours=36), abs=timedelta(seconds=5)
    )
    assert str(moment("2026-11-26T13:00")) == "2026-11-26 13:00:00+00:00"
    assert str(moment("2026-11-26T13:00+09:00")) == "2026-11-26 04:00:00+00:00"
    for wrong in ("", "30", "-3d", "3y", "999999w", "yesterday", "0001-01-01T00+09:00"):
        with pytest.raises(UsageError, match="neither a time nor an age"):
            moment(wrong)


def test_first_it_is_only_said(store, store_url) -> None:
    before, there = told(store_url), files(store)
    rule = pruning_rule("0m", "best", "0m")
    done = prune(store, rule)
    assert not done.done
    assert [(p.run, p.checkpoints, p.bytes, p.episodes) for p in done.runs] == [
        (1, ["latest"], 600, 12),
        (2, ["latest"], 600, 12),
    ]
    assert (told(store_url), files(store)) == (before, there)
    with pytest.raises(UsageError, match="nothing to prune was named"):
        prune(store, PruningRule(keep="best"))


def test_what_is_pruned_is_remembered(store, store_url) -> None:
    before = told(store_url)
    done = prune(store, pruning_rule("0m", None, "0m"), "name=first", really=True)
    assert (done.left, done.running) == ([], [])
    after = told(store_url)
    for same in ("runs", "tags", "metrics", "evaluations"):
        assert after[same] == before[same]
    assert {row["run_id"] for row in after["episodes"] + after["checkpoints"]} == {1}
    assert len(files(store)) == 2
    whats = [(p.what, p.evaluation_id, p.count, p.bytes) for p in store.prunings(1)]
    assert whats == [
        ("best", None, 1, 550),
        ("latest", None, 1, 600),
        ("episodes", None, 4, 0),
        ("episodes", 1, 3, 0),
        ("episodes", 2, 5, 0),
    ]
    assert check(store).faults == []
    row = store.run(1)
    for ask in (
        lambda: stored_checkpoint(store, row, "best"),
        lambda: resumption(store, row),
    ):
        with pytest.raises(NotFoundError, match=r"pruned on .* --from-run 1"):
            ask()
    assert prune(store, pruning_rule("0m", None, "0m"), "name=first").runs == []


def test_one_is_kept_and_the_other_says_so(store) -> None:
    prune(store, pruning_rule("0m", "best", None), really=True)
    row = store.run(1)
    assert checkpoint_row(store, row, "best").step == 50
    with pytest.raises(NotFoundError, match="there is also --checkpoint best"):
        checkpoint_row(store, row, "latest")
    prune(store, pruning_rule("0m", "latest", None), really=True)
    assert checkpoint_row(store, row, "best").step == 50, "the only one it has"


def test_the_young_and_the_running_stay(store, store_url, tmp_path) -> None:
    run_id = store.begin_run(RUN)
    before = told(store_url)
    done = prune(store, pruning_rule("1h", None, "1h"), really=True)
    assert (done.runs, done.running) == ([], [run_id])
    assert told(store_url) == before
    with pytest.raises(UsageError, match="is running"):
        store.prune(run_id, pruning_rule("0m", None, None))


def foreign(store: TaskStore, url: str, directory: Path) -> None:
    change(
        url,
        f"UPDATE runs SET directory = '{directory}' WHERE id = 1",
        f"UPDATE checkpoints SET path = '{directory}/best-00000050-ab12.safetensors' "
        "WHERE run_id = 1 AND which = 'best'",
        f"UPDATE checkpoints SET path = '{directory}/precious.safetensors' "
        "WHERE run_id = 1 AND which = 'latest'",
    )


@pytest.mark.parametrize(
    "where", ["elsewhere", "20261126-010203-abcdef", ".metapipe/runs/notes"]
)
def test_no_row_makes_it_remove_what_is_not_the_runs(
    where: str, store, store_url, tmp_path
) -> None:
    """Rows of somebody else's store may name any folder."""
    directory = tmp_path / where
    directory.mkdir(parents=True)
    for name in ("best-00000050-ab12.safetensors", "precious.safetensors"):
        (directory / name).write_text("mine")
    foreign(store, store_url, directory)
    assert check(store).whole is False
    done = prune(store, pruning_rule("0m", None, None), "name=first", really=True)
    assert len(done.left) == 1
    (left,) = remove_run(store, 1)
    assert str(directory) in left
    assert len(list(directory.iterdir())) == 2


def test_links_are_not_followed(store, store_url, tmp_path) -> None:
    outside = tmp_path / "20261126-010203-abcdef"
    outside.mkdir()
    (outside / "best-00000050-ab12.safetensors").write_text("mine")
    link = tmp_path / ".metapipe" / "runs" / "20261126-010203-fedcba"
    link.symlink_to(outside)
    foreign(store, store_url, link)
    (left,) = remove_run(store, 1)
    assert "a link" in left
    assert len(list(outside.iterdir())) == 1


def test_what_else_lies_in_a_runs_folder_is_left_and_told(store) -> None:
    directory = Path(store.run(1).directory)
    (directory / "notes.txt").write_text("mine")
    (left,) = remove_run(store, 1)
    assert left == f"{directory}: other files are in it"
    assert [path.name for path in directory.iterdir()] == ["notes.txt"]
    directory = Path(store.run(2).directory)
    assert remove_run(store, 2) == []
    assert not directory.exists()


def test_files_that_are_not_there_are_told(store) -> None:
    directory = Path(store.run(1).directory)
    directory.rename(directory.with_name("elsewhere"))
    assert remove_run(store, 1) == [f"{directory}: not there any more"]


def test_files_on_another_machine_are_said_to_be_there(
    store, store_url, tmp_path
) -> None:
    directory = "/gpu7/p/.metapipe/runs/20261126-010203-abcdef"
    foreign(store, store_url, Path(directory))
    change(store_url, "UPDATE runs SET host = 'gpu7' WHERE id = 1")
    with pytest.raises(CheckpointError, match=r"lie on gpu7; .* runs export 1 FILE"):
        stored_checkpoint(store, store.run(1), "best")
    with pytest.raises(CheckpointError, match="lie on gpu7"):
        resumption(store, store.run(1))
    assert remove_run(store, 1) == [f"gpu7:{directory}: on another machine"]


def test_a_project_that_was_moved_finds_its_files(store_url, tmp_path) -> None:
    """Where paths are no more, the project's own folder of runs is looked into. On a
    server they are kept whole; here the SQLite file lies beside the project."""
    if store_url.startswith("sqlite"):
        store_url = f"sqlite:///{tmp_path / 'shared.db'}"
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with opened(store_url, old) as store:
        keep_run(store, old, "first", None)
    old.rename(new)
    with opened(store_url, new) as store:
        rows = store.checkpoints(1)
        assert Path(store.run(1).directory).parent == new / ".metapipe" / "runs"
        assert all(Path(row.path).is_file() for row in rows)
        assert check(store).faults == []
        remove_run(store, 1)
    assert not list(new.glob(".metapipe/runs/*"))
