"""What lies in folders: links, what systems leave behind, and what is passed over."""

import os
import socket
from itertools import pairwise
from pathlib import Path

import pytest
from pictures import write_classes

from metapipe import DataError, PathError
from metapipe.adaptation.task_files import each_file, read_examples
from metapipe.data import ImageEncoder, identity, is_leftover, labelled, walk

PNG = (".png",)
ENCODER = ImageEncoder(height=8, width=8, channels=1, fit="stretch")


def names(root: Path) -> list[str]:
    return ["/".join(file.parts) for file in walk(root, PNG)]


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "flowers", {"rose": 2, "tulip": 1})


ALL = ["rose/0.png", "rose/1.png", "tulip/0.png"]


@pytest.mark.parametrize(
    "name",
    [
        *("._1.png", ".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini"),
        *("$RECYCLE.BIN", "System Volume Information", "@eaDir", "#recycle"),
        *("@Recycle", "lost+found", ".ipynb_checkpoints", ".stversions"),
        *(".dropbox.cache", "1.png~", "~$a.png", ".1.png.swp", "THUMBS.DB"),
    ],
)
def test_what_systems_leave_behind_is_no_example(
    name: str, flowers: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_leftover(name)
    write_classes(flowers / name, {"rose": 1})
    (flowers / "rose" / name).write_bytes(b"x")
    assert names(flowers) == ALL
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["rose", "1.png", "lost", "tmp", "@home", "#1", "a~b"])
def test_a_users_own_names_are_kept(name: str) -> None:
    assert not is_leftover(name)


def test_folders_that_link_to_each_other_are_read_once(
    flowers: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (flowers / "rose" / "tulip").symlink_to(flowers / "tulip")
    (flowers / "tulip" / "rose").symlink_to(flowers / "rose")
    (flowers / "tulip" / "up").symlink_to(flowers)
    assert names(flowers) == ALL
    assert "links to folders that are read already: 3 (rose/tulip/" in caplog.text


def test_a_ladder_of_links_ends(tmp_path: Path) -> None:
    """Each folder has two links to the next: 2^40 paths to the last."""
    steps = [tmp_path / f"s{number}" for number in range(41)]
    for folder in steps:
        folder.mkdir()
    for folder, below in pairwise(steps):
        (folder / "a").symlink_to(below)
        (folder / "b").symlink_to(below)
    (steps[-1] / "1.png").write_bytes(b"x")
    assert names(tmp_path) == ["s40/1.png"]
    assert names(steps[0]) == ["/".join(["a"] * 40) + "/1.png"]


def test_a_second_link_to_a_class_is_named(flowers: Path, tmp_path: Path) -> None:
    root = tmp_path / "links"
    root.mkdir()
    for name in ("cat", "kitty"):
        (root / name).symlink_to(flowers / "rose")
    found = labelled(root, PNG)
    assert {label for label, _, _ in found} == {"cat"}
    assert found.without == ["kitty"]
    with pytest.raises(DataError, match="kitty"):
        read_examples(root, ENCODER, "classification")


@pytest.mark.parametrize("target", ["nowhere", "loop.png"])
def test_a_link_to_nothing_is_a_picture_that_cannot_be_read(
    target: str, flowers: Path
) -> None:
    (flowers / "rose" / "loop.png").symlink_to(flowers / "rose" / target)
    files = {file.parts[-1]: file for file in walk(flowers, PNG)}
    assert len(files) == 3
    with pytest.raises(DataError, match=r"loop\.png: it is a link to nothing"):
        files["loop.png"].read()
    assert identity(flowers)


def test_a_class_that_is_a_link_to_nothing_is_no_silence(flowers: Path) -> None:
    (flowers / "lily").symlink_to("/mnt/gone")
    with pytest.raises(DataError, match=r"unreadable: .*lily: it is a link to nothing"):
        read_examples(flowers, ENCODER, "classification")


def test_what_is_no_file_is_told_of_and_not_waited_for(
    flowers: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(flowers / "rose" / "pipe.png")
    monkeypatch.chdir(flowers / "tulip")
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket.png")
    (flowers / "notes.txt").write_text("x")
    (flowers / "rose" / "1.heic").write_bytes(b"x")
    (flowers / "empty").mkdir()
    assert names(flowers) == ALL
    server.close()
    (line,) = caplog.messages
    assert "files of other kinds: 2 (notes.txt, rose/1.heic)" in line
    assert "pipes, sockets and devices: 2 (rose/pipe.png, tulip/socket.png)" in line
    assert "empty folders: 1 (empty/)" in line


def test_a_root_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    for path in (tmp_path / "x.zip", Path("/dev/zero")):
        with pytest.raises(PathError, match="a pipe, a socket or a device"):
            list(walk(path, PNG))
        (file,) = each_file([path])
        with pytest.raises(DataError, match="a pipe, a socket or a device"):
            file.read()


def test_a_name_that_is_not_utf_8_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "1.png").write_bytes(b"x")
    ((label, _, file),) = labelled(tmp_path, PNG)
    assert label == r"caf\xe9"
    assert file.origin.encode() == os.fsencode(tmp_path) + rb"/caf\xe9/1.png"
    assert file.read() == b"x"


def test_two_folders_of_one_name_are_one_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_classes(tmp_path, {"café": 2, "cafe\u0301": 1, "tea ": 1, "tea": 1, "Tea": 1})
    found = labelled(tmp_path, PNG)
    labels = [label for label, _, _ in found]
    assert {label: labels.count(label) for label in labels} == {
        "café": 3,
        "tea": 2,
        "Tea": 1,
    }
    assert r"'cafe\u0301' and 'caf\xe9' are one class" in caplog.text
    assert "'tea' and 'tea ' are one class" in caplog.text
    assert "may be one, written in two ways: 'Tea' and 'tea'" in caplog.text


@pytest.mark.parametrize("where", ["", "flowers"])
def test_a_stray_picture_is_named(
    where: str, tmp_path: Path, flowers: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / where / "cover.png").write_bytes(b"x")
    found = labelled(tmp_path, PNG)
    if where:
        assert "has files (cover.png) beside the folders rose, tulip" in found.unclear
    else:
        assert {label for label, _, _ in found} == {"rose", "tulip"}
        assert "beside the folders of the classes: 1 (cover.png)" in caplog.text


def test_a_bank_sees_what_is_overwritten_behind_links(
    flowers: Path, tmp_path: Path
) -> None:
    """Also where size and time of change are set back, as copying does."""
    root = tmp_path / "links"
    root.mkdir()
    (root / "rose").symlink_to(flowers / "rose")
    (root / "one.png").symlink_to(flowers / "tulip" / "0.png")
    found = [identity(root)]
    for file in (flowers / "rose" / "1.png", flowers / "tulip" / "0.png"):
        state = file.stat()
        file.write_bytes(file.read_bytes()[::-1])
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        found.append(identity(root))
    assert found[0] != found[1] != found[2]
    assert identity(root) == found[2]
