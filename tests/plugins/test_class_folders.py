"""How folders and lists of classes become splits, and what is refused."""

import os
import tarfile
from itertools import chain

import pytest
from pictures import picture, write_classes

from metapipe import DataError, PathError, SettingError
from metapipe.experiment.registry import load

REGISTRY = load()
SPLITS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path_factory.mktemp("cache")))


def opened(root, part="train", **settings):
    settings = {"root": root, "size": 8, **settings}
    return REGISTRY.create("dataset", "image-folder", settings).open(part)


@pytest.fixture
def same(tmp_path):
    """Ordinary folders of splits, with the same classes in each."""
    for number, split in enumerate(SPLITS):
        write_classes(tmp_path / split, {f"c{n}": 1 + number for n in range(5)})
    return tmp_path


@pytest.mark.parametrize("split", ["auto", "folders"])
def test_the_same_classes_in_two_splits_are_refused(same, split):
    with pytest.raises(DataError, match=r"'c0' \(test, train, val\).*split=random"):
        opened(same, split=split)


def test_folders_of_splits_can_be_put_together(same):
    found = [opened(same, name, split="random").facts for name in SPLITS]
    assert sorted(n for each in found for n in each.classes) == [
        f"c{n}" for n in range(5)
    ]
    assert {size for each in found for size in each.sizes} == {6}


def test_a_folder_beside_those_of_splits_is_named(tmp_path):
    for split in (*SPLITS, "unlabelled"):
        write_classes(tmp_path / split, {f"{split}{n}": 1 for n in range(2)})
    for split in ("auto", "folders"):
        with pytest.raises(DataError, match="has unlabelled beside"):
            opened(tmp_path, split=split)
    found = [opened(tmp_path, name, split="random").facts.classes for name in SPLITS]
    assert {*chain.from_iterable(found)} == {*SPLITS, "unlabelled"}


@pytest.fixture
def six(tmp_path):
    return write_classes(tmp_path / "data", dict.fromkeys("abcdef", 1))


LISTS = {"train": "a\nb\nc\n", "val": "d\n", "test": "e\nf\n"}


def write_lists(root, encoding="utf-8", **texts):
    for split, text in {**LISTS, **texts}.items():
        (root / f"{split}.txt").write_bytes(text.encode(encoding))
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_are_read_as_editors_write_them(six, tmp_path, encoding):
    write_lists(tmp_path, encoding, train="a \r\n\r\n  b\r\nc")
    assert list(opened(six, lists=tmp_path).facts.classes) == ["a", "b", "c"]
    assert list(opened(six, "test", lists=tmp_path).facts.classes) == ["e", "f"]


def test_a_list_may_be_a_table_with_a_row_a_picture(six, tmp_path):
    write_lists(tmp_path)
    (tmp_path / "train.txt").unlink()
    table = tmp_path / "train.csv"
    table.write_text("filename,label\n1.jpg,b\n2.jpg,a\n3.jpg,b\n", "utf-8-sig")
    assert list(opened(six, lists=tmp_path).facts.classes) == ["a", "b"]
    table.write_text("filename,label\n1.jpg,\n")
    with pytest.raises(DataError, match="row 1 says nothing in 'label'"):
        opened(six, lists=tmp_path)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("a\nb\na\n", "'a' in train twice"),
        ("a\nd\n", "'d' in train and val"),
        ("A\nb\n", "lists 'A' for train.*did you mean 'a'"),
        ("# classes\na\n", "lists '# classes' for train"),
    ],
)
def test_wrong_lists_are_refused(six, tmp_path, train, message):
    write_lists(tmp_path, train=train)
    with pytest.raises(DataError, match=message):
        opened(six, lists=tmp_path)


def test_a_list_in_another_encoding_is_named(six, tmp_path):
    write_lists(tmp_path, "latin-1", train="café\n")
    with pytest.raises(DataError, match="not UTF-8"):
        opened(six, lists=tmp_path)


def test_classes_are_found_by_their_normal_name(tmp_path):
    root = write_classes(tmp_path / "data", {"cafe\u0301": 1, "b": 1, "c": 1})
    write_lists(tmp_path, train="café\n", val="b\n", test="c\n")
    assert list(opened(root, lists=tmp_path).facts.classes) == ["café"]


def test_lists_that_would_not_be_used_are_refused(six, tmp_path):
    write_lists(tmp_path)
    with pytest.raises(SettingError, match=r"dataset\.lists is given"):
        opened(six, lists=tmp_path, split="random")


def test_lists_come_before_folders_of_splits(same, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    write_lists(lists, train="c0\nc1\n", val="c2\n", test="c3\nc4\n")
    assert list(opened(same, lists=lists).facts.sizes) == [6, 6]


def test_archives_beside_folders_are_refused(six):
    with tarfile.open(six / "old.tar", "w") as archive:
        archive.add(six / "a" / "0.png", "g/0.png")
    with pytest.raises(DataError, match=r"both archives \(old\.tar\) and folders"):
        opened(six)


def test_pictures_of_two_archives_are_all_kept(tmp_path):
    """Of one class and one name."""
    for number, name in enumerate(("one", "two")):
        folder = tmp_path / "pictures" / name / "rose"
        folder.mkdir(parents=True)
        picture(number).save(folder / "1.png")
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            archive.add(folder, "rose")
    root = tmp_path / "archives"
    root.mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.tar").rename(root / f"{name}.tar")
    assert list(opened(root, shares=(1.0, 0.0)).facts.sizes) == [2]


def test_a_picture_that_is_there_twice_is_told_of(six, caplog):
    content = (six / "a" / "0.png").read_bytes()
    (six / "a" / "1.png").write_bytes(content)
    opened(six)
    assert "1 picture is more than once in a class: a/0.png = a/1.png" in (caplog.text)


def test_what_cannot_be_read_is_left_out_and_named(six, caplog):
    (six / "a" / "gone.png").symlink_to("/nowhere.png")
    os.mkfifo(six / "a" / "pipe.png")
    with pytest.raises(DataError, match=r"1 unreadable: .*gone\.png: it is a link"):
        opened(six)
    opened(six, unreadable="skip")
    assert "left out 1 unreadable: " in caplog.text
    assert "pipes, sockets and devices: 1 (a/pipe.png)" in caplog.text


@pytest.mark.parametrize("name", ["image-folder", "cifar-fs", "fc100", "mini-imagenet"])
def test_a_root_that_is_not_there_is_wrong_usage(name, tmp_path):
    for settings in ({}, {"root": tmp_path / "none"}):
        with pytest.raises(PathError, match=r"dataset\.root") as caught:
            REGISTRY.create("dataset", name, settings).open("train")
        assert caught.value.exit_code == 2
