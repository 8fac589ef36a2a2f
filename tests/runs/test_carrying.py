"""Runs carried between stores: all of a run arrives, or nothing."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import error_line
from kept_runs import contents, keep_run, keep_two, opened, told
from store_rows import RUN

from metapipe.errors import (
    CheckpointError,
    DataError,
    MetapipeError,
    OutdatedSchemaError,
    UsageError,
)
from metapipe.runs.carrying import export_runs, import_runs
from metapipe.store import TaskStore


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A SQLite store in its project, with two runs."""
    project = tmp_path_factory.mktemp("source")
    url = f"sqlite:///{project / '.metapipe' / 'metapipe.db'}"
    keep_two(url, project)
    return url, project


@pytest.fixture(scope="module")
def exported(source: tuple[str, Path], tmp_path_factory) -> Path:
    url, project = source
    path = tmp_path_factory.mktemp("file") / "runs.zip"
    with opened(url, project) as store:
        export_runs(store, ["first", 2], path)
    return path


def arrive(url: str, project: Path, path: Path, **options: Any) -> list[int]:
    with opened(url, project) as store:
        done = import_runs(lambda: store, path, project, **options)
        return list(done.runs.values())


def test_all_arrives_and_comes_back(source, exported, store_url, tmp_path) -> None:
    """To a store that had other ids already, of either kind, and home again."""
    there, back = tmp_path / "there", tmp_path / "back"
    with opened(store_url, there) as store:
        keep_run(store, there, "other", None)
    assert arrive(store_url, there, exported) == [2, 3]
    assert told(store_url, beyond=1) == told(source[0])
    assert contents(store_url, there, beyond=1) == contents(*source)
    with opened(store_url, there) as store:
        export_runs(store, [2, 3], tmp_path / "again.zip")
    home = f"sqlite:///{back / 'm.db'}"
    assert arrive(home, back, tmp_path / "again.zip") == [1, 2]
    assert told(home) == told(source[0])
    assert contents(home, back) == contents(*source)


def test_what_arrived_is_not_taken_twice(source, exported, tmp_path) -> None:
    url, project = source
    before = sorted((project / ".metapipe" / "runs").iterdir())
    with opened(url, project) as store:
        with pytest.raises(UsageError, match="run 1 of this store in it: nothing was"):
            import_runs(lambda: store, exported, project)
        done = import_runs(lambda: store, exported, project, skip_known=True)
    assert (done.runs, list(done.skipped.values())) == ({}, [1, 2])
    assert sorted((project / ".metapipe" / "runs").iterdir()) == before
    one = f"sqlite:///{tmp_path / 'm.db'}"
    with opened(url, project) as store:
        export_runs(store, [1], tmp_path / "one.zip")
    arrive(one, tmp_path, tmp_path / "one.zip")
    assert arrive(one, tmp_path, exported, skip_known=True) == [2]
    assert told(one) == told(url), "the second knows its parent again"


def test_a_run_is_not_exported_half(source, tmp_path) -> None:
    shutil.copytree(source[1], tmp_path, dirs_exist_ok=True)
    url, path = f"sqlite:///{tmp_path / '.metapipe/metapipe.db'}", tmp_path / "e.zip"
    with opened(url, tmp_path) as store:
        with pytest.raises(UsageError, match="is a folder"):
            export_runs(store, [1], tmp_path)
        with pytest.raises(UsageError, match="is the store itself"):
            export_runs(store, [1], tmp_path / ".metapipe/metapipe.db", force=True)
        gone = Path(store.checkpoints(1)[0].path)
        gone.write_bytes(b"x" * gone.stat().st_size)
        with pytest.raises(CheckpointError, match="is damaged: its content"):
            export_runs(store, [2, 1], path)
        gone.unlink()
        with pytest.raises(CheckpointError, match="--without-files"):
            export_runs(store, [1], path)
        assert not path.exists()
        export_runs(store, [1], path, with_files=False)
        with pytest.raises(UsageError, match="--force replaces it"):
            export_runs(store, [1], path, with_files=False)
    there = f"sqlite:///{tmp_path / 'there.db'}"
    arrive(there, tmp_path, path)
    with opened(there, tmp_path) as store:
        assert store.checkpoints(1) == []
        whats = {each.what: each.rule for each in store.prunings(1)}
        assert whats == dict.fromkeys(("best", "latest"), "exported without files")


def test_a_running_run_stays(source, tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    with TaskStore.open(url) as store:
        run_id = store.begin_run(RUN)
        with pytest.raises(UsageError, match="is running: export it when it has ended"):
            export_runs(store, [run_id], tmp_path / "e.zip")


def nothing_arrives(path: Path, tmp_path: Path) -> str:
    """The line with which an import fails, and that it leaves nothing."""
    url, project = f"sqlite:///{tmp_path / 'm.db'}", tmp_path / "project"
    with pytest.raises(DataError) as caught:
        arrive(url, project, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert all(rows == [] for rows in told(url).values())
    assert not list(project.glob(".metapipe/runs/*"))
    return str(caught.value)


def test_what_is_no_export_is_said_so(exported, tmp_path) -> None:
    path = tmp_path / "file"
    assert "cannot read" in nothing_arrives(path, tmp_path)
    assert "cannot read" in nothing_arrives(tmp_path, tmp_path)
    for content in (b"", b"hello", exported.read_bytes()[:-40]):
        path.write_bytes(content)
        assert "no export of metapipe" in nothing_arrives(path, tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil", "x")
    assert "metapipe.json is not in it" in nothing_arrives(path, tmp_path)


def failure(url: str, project: Path, path: Path) -> str | None:
    try:
        arrive(url, project, path)
    except MetapipeError as error:
        return str(error)
    return None


def test_a_changed_byte_is_noticed_or_changes_nothing(
    source, exported, tmp_path
) -> None:
    whole, path = exported.read_bytes(), tmp_path / "flipped"
    refused = taken = 0
    for place in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        path.write_bytes(changed)
        folder = tmp_path / str(taken)
        url = f"sqlite:///{folder / 'm.db'}"
        if said := failure(url, folder, path):
            assert "\n" not in said
            assert not list(folder.glob(".metapipe/runs/*"))
            refused += 1
        else:  # a byte that means nothing, such as the time of a member
            assert told(url) == told(source[0])
            assert contents(url, folder) == contents(*source)
            taken += 1
    assert refused > 40


Edit = Callable[[dict[str, Any], list[list[Any]]], None]


def remade(exported: Path, path: Path, edit: Edit) -> Path:
    """The archive as somebody makes it who knows how, with true checksums."""
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(path, "w") as new:
        about = json.loads(old.read("metapipe.json"))
        rows = [json.loads(line) for line in old.read("rows.jsonl").splitlines()]
        edit(about, rows)
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        digest = hashlib.sha256(content).hexdigest()
        about["rows"] |= {"bytes": len(content), "sha256": digest}
        for name in old.namelist():
            if name.startswith("files/"):
                new.writestr(name, old.read(name))
        new.writestr("rows.jsonl", content)
        new.writestr("metapipe.json", json.dumps(about))
    return path


def of(rows: list[list[Any]], table: str) -> dict[str, Any]:
    return next(row for name, row in rows if name == table)


def rename_file(about: dict[str, Any], _: object) -> None:
    files = about["runs"][0]["files"]
    files["../../evil.safetensors"] = files.pop(next(iter(files)))


def leave_out(_: object, rows: list[list[Any]]) -> None:
    """The second run: a run's own row has no `run_id`."""
    rows[:] = [each for each in rows if each[1].get("run_id", each[1].get("id")) != 2]


HOSTILE: dict[str, tuple[Edit, str]] = {
    "newer": (lambda a, _: a.update(format=2), "format 2, which a newer metapipe"),
    "no format": (lambda a, _: a.pop("format"), "tells no format"),
    "no runs": (lambda a, _: a.pop("runs"), "does not list what is in it"),
    "a path": (rename_file, "is the name of no checkpoint"),
    "a path in a row": (
        lambda _, r: of(r, "checkpoints").update(path="../../x"),
        "no file is ../../x",
    ),
    "no uid": (lambda a, _: a["runs"][0].update(uid="x"), "damaged"),
    "other uid": (
        lambda a, _: a["runs"][0].update(uid="2026-01-01T00:00:00+00:00/ab"),
        "is not announced",
    ),
    "twice": (lambda _, r: r.append(r[0]), "comes twice"),
    "a run less": (leave_out, "no row of run"),
    "a table": (lambda _, r: r.append(["sqlite_master", {}]), "no table"),
    "a column": (lambda _, r: of(r, "runs").update(later=1), "no column 'later'"),
    "a word for a number": (
        lambda _, r: of(r, "episodes").update(loss="1; DROP TABLE runs"),
        "episodes.loss cannot be '1; DROP",
    ),
    "too large": (lambda _, r: of(r, "episodes").update(ways=2**15), "episodes.ways"),
    "too long": (lambda _, r: of(r, "runs").update(name="x" * 201), "runs.name"),
    "nothing": (lambda _, r: of(r, "metrics").update(value=None), "metrics.value"),
    "no time": (lambda _, r: of(r, "runs").update(created="now"), "runs.created"),
    "no zone": (
        lambda _, r: of(r, "runs").update(heartbeat="2026-01-01"),
        "runs.heartbeat",
    ),
    "a status": (lambda _, r: of(r, "runs").update(status="<b>"), "status '<b>'"),
    "nobody's": (
        lambda _, r: of(r, "episodes").update(evaluation_id=99),
        "belongs to 99",
    ),
    "no row": (lambda _, r: r.append(3), "a line is no row"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_somebody_made_up_is_refused(what: str, exported, tmp_path) -> None:
    edit, said = HOSTILE[what]
    path = remade(exported, tmp_path / "hostile.zip", edit)
    assert said in nothing_arrives(path, tmp_path)


def test_a_run_that_was_running_arrives_as_lost(exported, tmp_path) -> None:
    """Whatever it says of its process: none of this store is at it."""
    living = {
        "status": "running",
        "host": socket.gethostname(),
        "pid": os.getppid(),
        "heartbeat": "2999-01-01T00:00:00+00:00",
    }
    path = remade(
        exported, tmp_path / "e.zip", lambda _, rows: of(rows, "runs").update(living)
    )
    url = f"sqlite:///{tmp_path / 'm.db'}"
    assert arrive(url, tmp_path, path) == [1, 2]
    with opened(url, tmp_path) as store:
        assert store.run(1).status == "lost"
        store.delete_run(1, idle_only=True)


def test_a_file_that_is_no_export_makes_no_store(tmp_path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"hello")
    for name, words in (("bad.zip", "no export of metapipe"), ("none", "cannot read")):
        assert words in error_line("runs", "import", name, cwd=tmp_path, code=1)
    assert not (tmp_path / ".metapipe").exists()


def test_what_would_grow_without_measure_is_refused(exported, tmp_path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            packed = zipfile.ZIP_DEFLATED
            new.writestr(info.filename, old.read(info), compress_type=packed)
    assert "would grow without measure" in nothing_arrives(path, tmp_path)


def test_an_older_store_is_left_as_it_is(exported, tmp_path) -> None:
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parents[1] / "databases" / "0002.db", old)
    before = old.read_bytes()
    with pytest.raises(OutdatedSchemaError, match="metapipe db upgrade"):
        arrive(f"sqlite:///{old}", tmp_path, exported)
    assert old.read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from metapipe.runs.carrying import import_runs
from metapipe.store import TaskStore

@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO checkpoints"):
        os.kill(os.getpid(), signal.SIGKILL)

with TaskStore.open(sys.argv[1]) as store:
    import_runs(lambda: store, Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_killed_it_leaves_no_rows_and_goes_through_again(
    source, exported, store_url, tmp_path
) -> None:
    arguments = [store_url, str(exported), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL
    assert all(rows == [] for rows in told(store_url).values())
    arrive(store_url, tmp_path, exported)
    assert told(store_url) == told(source[0])
