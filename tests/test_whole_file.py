"""Whole files: what was there stays, or the new one is there."""

import os
import resource
import stat
import sys
from pathlib import Path

import pytest
from commands import FORKS

from metapipe.errors import WriteError
from metapipe.whole_file import whole_file


def grow(path: Path, size: int) -> None:
    """In a process whose files may have 1000 bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        with whole_file(path) as file:
            file.write(bytes(size))
    except WriteError as error:
        sys.exit(7 if str(error) == f"cannot write {path}: File too large" else 8)


@pytest.mark.parametrize(("size", "code"), [(999, 0), (100_000, 7)])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, size: int, code: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    process = FORKS.Process(target=grow, args=(path, size))
    process.start()
    process.join()
    assert process.exitcode == code
    assert path.read_bytes() == (b"mine" if code else bytes(size))
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_meanwhile_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(bytes(1 // 0))
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as file:
        file.write(b"one")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"two", None])
    assert path.read_bytes() == b"one"


def test_access_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"one")
    path.chmod(0o640)
    link.symlink_to(path)
    with whole_file(link) as file:
        file.write(b"two")
    assert link.is_symlink()
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    with whole_file(Path("/dev/null")) as file:
        file.write(b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(WriteError, match="Is a directory"), whole_file(tmp_path):
        pass


def test_a_name_as_long_as_names_are_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    with whole_file(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_folder_and_file_are_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch
) -> None:
    """In order: the content, the name, the folder that has the name."""
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda n: (done.append(stat.S_IFMT(os.fstat(n).st_mode)), fsync(n)),
    )
    monkeypatch.setattr(
        Path, "replace", lambda a, b: (done.append("renamed"), replace(a, b))
    )
    with whole_file(tmp_path / "file") as file:
        file.write(b"x")
    assert done == [stat.S_IFREG, "renamed", stat.S_IFDIR]
