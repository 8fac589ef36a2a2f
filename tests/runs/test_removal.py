"""Runs are deleted by filter, with their files, and never while they run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from store_rows import RUN

import metapipe
from metapipe.errors import FilterError, NotFoundError, UsageError
from metapipe.events import CheckpointInfo
from metapipe.runs.removal import Removal, remove_runs
from metapipe.runs.run_files import tidy
from metapipe.store import TaskStore


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Runs 1 to 3 failed, with a checkpoint of 100 bytes each; 4 is running."""
    found = f"sqlite:///{tmp_path / '.metapipe' / 'metapipe.db'}"
    with TaskStore.open(found) as store:
        for number in range(1, 5):
            name = f"20260101-00000{number}-abcdef"
            directory = tmp_path / ".metapipe" / "runs" / name
            directory.mkdir(parents=True)
            path = directory / "latest-00000001-abcdef.safetensors"
            path.write_bytes(b"x" * 100)
            new = replace(RUN, name=f"r{number}", directory=str(directory))
            run_id = store.begin_run(new)
            store.save_checkpoint(run_id, CheckpointInfo(path, "sha", 100, 1, "latest"))
            if number < 4:
                store.finish_run(run_id, "failed", error="so it was")
        yield found


def test_a_filter_deletes_what_it_matches(url: str, tmp_path: Path) -> None:
    seen: list[Removal] = []
    with TaskStore.open(url) as store:
        refused = remove_runs(store, where="status=failed", agreed=lambda r: False)
        assert (refused.rows, store.count_runs()) == ((), 4)

        def agreed(found: Removal) -> bool:
            seen.append(found)
            return True

        remove_runs(store, where="status=failed and name!=r2", agreed=agreed)
        assert [(row.id, row.name) for row in seen[0].rows] == [(1, "r1"), (3, "r3")]
        assert seen[0].bytes == 200
        assert [row.id for row in store.runs(sort="id")] == [2, 4]
    kept = {path.name[:15] for path in (tmp_path / ".metapipe" / "runs").iterdir()}
    assert kept == {"20260101-000002", "20260101-000004"}
    assert metapipe.delete("r2", db=url).bytes == 100
    assert metapipe.delete(where="status=failed", db=url).rows == ()


@pytest.mark.parametrize(
    ("names", "where", "error", "words"),
    [
        ((), "id>0", UsageError, "run 4 is running, process .*'and id!=4'"),
        ((1, "r4"), None, UsageError, "run 4 is running"),
        ((), " ", UsageError, "every run: if that is meant, write 'id>0'"),
        ((), None, UsageError, "name runs, or give --where"),
        ((1,), "id=1", UsageError, "one of the two"),
        ((), "stat=failed", FilterError, "did you mean"),
        ((1, "r9"), None, NotFoundError, "no run 'r9'"),
    ],
)
def test_what_must_not_be_deleted_is_one_line_and_nothing_is(
    url: str,
    names: tuple[int | str, ...],
    where: str | None,
    error: type[Exception],
    words: str,
) -> None:
    with TaskStore.open(url) as store:
        with pytest.raises(error, match=words) as caught:
            remove_runs(store, names, where)
        assert "\n" not in str(caught.value)
        assert store.count_runs() == 4
        with pytest.raises(UsageError, match="run 4 is running"):
            store.delete_run(4, idle_only=True)
        assert store.count_runs() == 4


@pytest.mark.parametrize(("where", "left"), [("runs", 1), ("elsewhere", 2)])
def test_only_below_the_stores_folders_is_cleaned_up(
    where: str, left: int, tmp_path: Path
) -> None:
    """After a run that goes on, too: its row may be a stranger's."""
    directory = tmp_path / where / "20260101-000001-abcdef"
    directory.mkdir(parents=True)
    best, latest = (
        directory / f"{name}-00000001-ab.safetensors" for name in ("best", "latest")
    )
    for path in (best, latest):
        path.write_text("mine")
    tidy(directory, [latest], [tmp_path / "runs"])
    assert latest.exists()
    assert len(list(directory.iterdir())) == left
