"""Folders, zips and tars are one thing to read; hostile ones are refused."""

import io
import os
import tarfile
import zipfile

import pytest
from pictures import write_classes

from metapipe import DataError, Task, UnsupportedError
from metapipe.data.files import walk
from metapipe.data.labelled import folders_above
from metapipe.experiment.registry import load

REGISTRY = load()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    """Banks of folders that will be gone."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(params=["folder", "zip", "zip in a folder", "tar", "tar.gz"])
def root(request, tmp_path):
    """The same pictures, kept in every way."""
    folder = write_classes(tmp_path / "flowers", {"rose": 3, "tulip": 2})
    (folder / "notes.txt").write_text("no picture")
    (folder / "rose" / ".hidden.png").write_bytes(b"")
    if request.param == "folder":
        return folder
    archive = tmp_path / f"flowers.{request.param.split()[0]}"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    base = tmp_path if "in a folder" in request.param else folder
    if "zip" in request.param:
        with zipfile.ZipFile(archive, "w") as file:
            for path in files:
                file.write(path, path.relative_to(base))
    else:
        mode = "w:gz" if archive.name.endswith("gz") else "w"
        with tarfile.open(archive, mode) as file:
            for path in files:
                file.add(path, path.relative_to(base))
    return archive


def folder_source(root, split="train", **settings):
    settings = {"root": root, "size": 8, **settings}
    return REGISTRY.create("dataset", "image-folder", settings).open(split)


def test_all_forms_have_the_same_files(root):
    files = {file.parts[-2:]: file.read() for file in walk(root, [".png"])}
    names = [("rose", f"{i}.png") for i in range(3)]
    assert sorted(files) == [*names, ("tulip", "0.png"), ("tulip", "1.png")]
    assert all(content.startswith(b"\x89PNG") for content in files.values())


def test_all_forms_make_the_same_source(root, tmp_path):
    source = folder_source(root, shares=(1.0, 0.0))
    assert list(source.facts.classes) == ["rose", "tulip"]
    assert list(source.facts.sizes) == [3, 2]
    folder = folder_source(tmp_path / "flowers", shares=(1.0, 0.0))
    assert source.facts.fingerprint == folder.facts.fingerprint


def zip_with(path, name, content=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["../a/1.png", "/etc/1.png", "a/../../1.png", "C:/1.png"]
)
def test_names_that_point_outside_are_refused(name, tmp_path):
    with pytest.raises(DataError, match="outside"):
        list(walk(zip_with(tmp_path / "x.zip", name), [".png"]))


def test_links_in_a_tar_are_passed_over(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        info = tarfile.TarInfo("rose/1.png")
        info.type, info.linkname = tarfile.SYMTYPE, str(secret)
        file.addfile(info)
    assert list(walk(tmp_path / "x.tar", [".png"])) == []


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("metapipe.data.archive_bound.MAX_ARCHIVE", 10_000)
    bomb = zip_with(tmp_path / "x.zip", "rose/1.png", bytes(10**7))
    with pytest.raises(DataError, match="bomb"):
        list(walk(bomb, [".png"]))


def test_a_zip_that_lies_about_sizes_is_unreadable(tmp_path):
    path = zip_with(tmp_path / "x.zip", "rose/1.png", bytes(100_000))
    content = bytearray(path.read_bytes())
    for at in (i for i in range(len(content)) if content[i : i + 2] == b"PK"):
        for offset in (22, 24):
            field = slice(at + offset, at + offset + 4)
            if content[field] == (100_000).to_bytes(4, "little"):
                content[field] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="CRC"):
        [file.read() for file in walk(path, [".png"])]


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"x\.zip"):
        list(walk(tmp_path / "x.zip", [".png"]))


def test_a_prefix_is_what_all_share_above_the_class():
    assert folders_above([("a", "b", "1"), ("a", "c", "2")]) == 1
    assert folders_above([("a", "1"), ("b", "2")]) == 0
    assert folders_above([("a", "1"), ("a", "2")]) == 0


def test_folders_called_train_val_and_test_are_the_split(tmp_path):
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        write_classes(tmp_path / split, {f"{name}1": 2, f"{name}2": 2})
    for split in ("train", "val", "test"):
        classes = folder_source(tmp_path, split).facts.classes
        assert [name.split("/")[0] for name in classes] == [split] * 2


def test_lists_are_the_split(tmp_path):
    root = write_classes(tmp_path / "data", dict.fromkeys("abcdef", 2))
    for split, names in (("train", "abc"), ("val", "d"), ("test", "ef")):
        (tmp_path / f"{split}.txt").write_text("\n".join(names) + "\n")
    source = folder_source(root, "test", lists=tmp_path)
    assert list(source.facts.classes) == ["e", "f"]
    (tmp_path / "test.txt").write_text("e\na\n")
    with pytest.raises(DataError, match="'a' in train and test"):
        folder_source(root, "test", lists=tmp_path)
    (tmp_path / "test.txt").write_text("zebra\n")
    with pytest.raises(DataError, match="'zebra'"):
        folder_source(root, "test", lists=tmp_path)


def test_a_random_split_shares_no_class(tmp_path):
    root = write_classes(tmp_path, dict.fromkeys("abcdefghij", 1))
    parts = [
        set(folder_source(root, s).facts.classes) for s in ("train", "val", "test")
    ]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert set.union(*parts) == set("abcdefghij")
    other = set(folder_source(root, split_seed=1).facts.classes)
    assert other != parts[0]


def test_a_change_of_the_files_is_seen(tmp_path):
    root = write_classes(tmp_path, dict.fromkeys("abcde", 2))
    before = folder_source(root).facts.fingerprint
    assert folder_source(root).facts.fingerprint == before
    first = folder_source(root).facts.classes[0]
    file = root / first / "0.png"
    file.write_bytes((root / first / "1.png").read_bytes())
    os.utime(file, (1, 1))
    assert folder_source(root).facts.fingerprint != before


def test_unreadable_files_are_named_or_left_out(tmp_path, caplog):
    root = write_classes(tmp_path, {"a": 3, "b": 3})
    (root / "a" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"1 unreadable: .*0\.png.*unreadable=skip"):
        folder_source(root, shares=(1.0, 0.0))
    source = folder_source(root, shares=(1.0, 0.0), unreadable="skip")
    assert list(source.facts.sizes) == [2, 3]


def test_pictures_in_two_classes_are_told(tmp_path, caplog):
    root = write_classes(tmp_path, {"a": 2, "b": 2})
    (root / "b" / "0.png").write_bytes((root / "a" / "0.png").read_bytes())
    with caplog.at_level("WARNING", "metapipe"):
        folder_source(root, shares=(1.0, 0.0))
    assert "a/0.png = b/0.png" in caplog.text


def test_a_class_with_too_few_is_named(tmp_path):
    root = write_classes(tmp_path, {"a": 5, "b": 2})
    with pytest.raises(UnsupportedError, match="class 'b' of the train split has 2"):
        folder_source(root, shares=(1.0, 0.0)).check(Task("x", "train", 0, 0, 2, 1, 3))


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        folder_source(tmp_path / "none")
    with pytest.raises(DataError, match="no pictures"):
        folder_source(tmp_path)
    with pytest.raises(DataError, match=r"dataset\.root"):
        folder_source(None)


def test_a_truncated_tar_is_named(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("a/1.png")
        info.size = 100_000
        file.addfile(info, io.BytesIO(os.urandom(100_000)))
    path = tmp_path / "x.tar.gz"
    path.write_bytes(buffer.getvalue()[:50_000])
    with pytest.raises(DataError, match=r"x\.tar\.gz"):
        [each.read() for each in walk(path, [".png"])]
