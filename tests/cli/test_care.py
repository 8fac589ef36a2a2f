"""`db backup`, `check` and `prune`, `runs export` and `import`, as commands."""

from pathlib import Path

import pytest
from commands import error_line, metapipe, metapipe_json
from kept_runs import change, keep_two, told

from metapipe.store import default_url


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    keep_two(default_url(folder), folder)
    return folder


def test_what_is_backed_up_is_whole(project: Path) -> None:
    done = metapipe_json("db", "backup", "b/b.db", "--with-files", cwd=project)
    assert (done["files"], done["bytes"]) == (4, (project / "b/b.db").stat().st_size)
    found = metapipe_json("--db", "sqlite:///b/b.db", "db", "check", cwd=project)
    assert (found["whole"], found["files"]) == (True, 4)
    assert "already" in error_line("db", "backup", "b/b.db", cwd=project, code=2)
    assert "folder" in error_line("db", "backup", "b", cwd=project, code=2)


def test_a_fault_is_told_and_is_the_exit_code(project: Path) -> None:
    assert "the store is whole" in metapipe("db", "check", cwd=project)[0]
    change(default_url(project), "UPDATE runs SET finished = NULL WHERE id = 2")
    out, _ = metapipe("db", "check", cwd=project, code=1)
    assert "ended without an end" in out
    found = metapipe_json("db", "check", "--no-files", cwd=project, code=1)
    assert [fault["where"] for fault in found["faults"]] == ["run 2"]


def test_looking_after_a_store_makes_none(tmp_path: Path) -> None:
    for words in ("db check", "db backup b.db", "runs export 1 x.zip"):
        line = error_line(*words.split(), cwd=tmp_path, code=1)
        assert "there is no task store at" in line
    assert list(tmp_path.iterdir()) == []


def test_pruning_says_first_what_would_go(project: Path) -> None:
    rule = ("--checkpoints-before", "0m", "--keep", "best", "--episodes-before", "0m")
    before = told(default_url(project))
    out, _ = metapipe("db", "prune", *rule, "--where", "name=first", cwd=project)
    assert "would prune: checkpoints 1 (600 bytes), episodes 12" in out
    assert told(default_url(project)) == before
    done = metapipe_json(
        "db", "prune", *rule, "--where", "name=first", "--yes", cwd=project
    )
    assert (done["done"], [run["episodes"] for run in done["runs"]]) == (True, [12])
    out, _ = metapipe("episodes", "list", "first", cwd=project)
    assert out == "run 1 has no episodes; 12 were pruned\n"
    shown = metapipe_json("runs", "show", "first", cwd=project)
    assert [each["what"] for each in shown["prunings"]] == [
        *("latest", "episodes", "episodes", "episodes")
    ]
    assert "nothing to prune" in error_line("db", "prune", cwd=project, code=2)


def test_runs_are_carried_to_another_store(project: Path) -> None:
    other = ("--db", "sqlite:///other/m.db")
    metapipe("runs", "export", "second", "first", "e.zip", cwd=project)
    done = metapipe_json(*other, "runs", "import", "e.zip", cwd=project)
    assert list(done["runs"].values()) == [1, 2]
    assert told(f"sqlite:///{project}/other/m.db") == told(default_url(project))
    line = error_line(*other, "runs", "import", "e.zip", cwd=project, code=2)
    assert "nothing was imported; --skip-known" in line
    out, err = metapipe(*other, "runs", "import", "e.zip", "--skip-known", cwd=project)
    assert (out, err.count("here already")) == ("", 2)


def test_deleting_tells_what_it_left(project: Path) -> None:
    directory = project / "20261126-010203-abcdef"
    directory.mkdir()
    (directory / "best-00000050-ab12.safetensors").write_text("mine")
    moved = f"UPDATE runs SET directory = '{directory}' WHERE id = 1"
    change(default_url(project), moved)
    out, err = metapipe("runs", "delete", "1", "--yes", cwd=project)
    assert out == "deleted run 1 'first'\n"
    assert f"not removed: {directory}: not below" in err
    assert len(list(directory.iterdir())) == 1
