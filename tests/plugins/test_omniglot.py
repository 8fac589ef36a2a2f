"""Omniglot: the real set where it is at hand, and small archives of every layout."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared import DATA, needs_data

from metapipe import DataError
from metapipe.testing import DatasetContract
from metapipe_plugins.datasets import omniglot
from metapipe_plugins.datasets.omniglot import Omniglot

OMNIGLOT = Omniglot(root=DATA / "omniglot.zip")
GOLDEN_SPLIT = [405, 1274, 803, 169]


@needs_data
class TestOmniglot(DatasetContract):
    """The whole set, from one zip."""

    dataset = OMNIGLOT

    def test_maml_split(self) -> None:
        sources = [OMNIGLOT.open(split) for split in ("train", "val", "test")]
        members = [{m.index for m in source.members} for source in sources]
        assert [len(m) for m in members] == [1100, 100, 423]
        assert len(set.union(*members)) == 1623
        assert [m.index for m in sources[2].members[:4]] == GOLDEN_SPLIT

    def test_official_split_is_by_alphabet(self) -> None:
        official = OMNIGLOT.model_copy(update={"split": "official"})
        names = {s: official.open(s).facts.classes for s in ("train", "val", "test")}
        assert len(names["train"]) + len(names["val"]) == 964
        assert len(names["test"]) == 659
        alphabets = {s: {n.split("/")[1] for n in names[s]} for s in names}
        assert [len(alphabets[s]) for s in ("train", "val", "test")] == [25, 5, 20]
        assert not alphabets["train"] & alphabets["val"]

    def test_vinyals_lists_with_their_rotations(self) -> None:
        folder = DATA / "splits" / "omniglot_vinyals"
        lists = OMNIGLOT.model_copy(update={"split": "lists", "lists": folder})
        counts = [len(lists.open(s).facts.classes) for s in ("train", "val", "test")]
        assert counts == [4112, 688, 1692]
        assert not lists.open("test").random_turns
        ours = OMNIGLOT.model_copy(update={"split": "vinyals"})
        for split in ("val", "test"):
            assert ours.open(split).members == lists.open(split).members
        assert not ours.open("test").random_turns

    def test_every_image_is_the_file_decoded(self) -> None:
        bank = OMNIGLOT.open("train").bank
        assert bank.items.shape == (32460, 28, 28)
        assert set(bank.sizes.tolist()) == {20}
        name = "images_background/Greek/character07"
        with zipfile.ZipFile(DATA / "omniglot.zip") as archive:
            first = sorted(n for n in archive.namelist() if n.startswith(name))[0]
            image = Image.open(io.BytesIO(archive.read(first))).convert("L")
        small = image.resize((28, 28), Image.Resampling.LANCZOS)
        index = bank.classes.index(name)
        assert np.array_equal(bank.items[bank.starts[index]], 255 - np.asarray(small))
        ink = bank.items.mean() / 255
        assert 0.05 < ink < 0.12, "ink is 1, and 8 % of the pixels"

    def test_a_folder_is_read_like_the_zip(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(DATA / "omniglot.zip") as archive:
            names = [n for n in archive.namelist() if "/Greek/" in n or "/ULOG/" in n]
            archive.extractall(tmp_path, names)
        official = Omniglot(root=tmp_path, split="official")
        whole = OMNIGLOT.open("train").bank
        bank = official.open("test").bank
        index = whole.classes.index("images_evaluation/ULOG/character03")
        mine = bank.classes.index("images_evaluation/ULOG/character03")
        assert np.array_equal(
            bank.items[bank.starts[mine] : bank.starts[mine + 1]],
            whole.items[whole.starts[index] : whole.starts[index + 1]],
        )


def _write_zip(path: Path, part: str, alphabets: int) -> None:
    """One character of two drawings in each alphabet; the first drawing all ink."""
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet in range(alphabets):
            for drawing in (1, 2):
                file = io.BytesIO()
                Image.new("1", (105, 105), drawing - 1).save(file, "PNG")
                name = f"{part}/A{alphabet}/character01/{alphabet:04d}_{drawing:02d}"
                archive.writestr(f"{name}.png", file.getvalue())


def test_the_two_official_zips_in_a_folder(tmp_path: Path) -> None:
    _write_zip(tmp_path / "images_background.zip", "images_background", 7)
    _write_zip(tmp_path / "images_evaluation.zip", "images_evaluation", 3)
    official = Omniglot(root=tmp_path, split="official", size=8)
    assert [len(official.open(s).facts.classes) for s in ("train", "val", "test")] == [
        2,
        5,
        3,
    ]
    bank = official.open("test").bank
    assert bank.items[0].min() == 255, "ink is 1"
    assert bank.items[1].max() == 0
    paper = official.model_copy(update={"invert": False}).open("test").bank
    assert paper.items[0].max() == 0


def test_the_download_is_what_a_folder_of_zips_is(tmp_path, monkeypatch) -> None:
    paths = [tmp_path / f"{part}.zip" for part in omniglot.PARTS]
    for path, part in zip(paths, omniglot.PARTS, strict=True):
        _write_zip(path, part, 6)
    asked = []

    def download_all(files, folder, instead):
        asked.extend(files)
        return paths

    monkeypatch.setattr(omniglot, "download_all", download_all)
    downloaded = Omniglot(split="official", size=8).open("test")
    local = Omniglot(split="official", size=8, root=tmp_path).open("test")
    assert downloaded.facts.fingerprint == local.facts.fingerprint
    assert [url.rpartition("/")[2] for url in asked] == [p.name for p in paths]


def test_a_split_that_gets_no_character_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "half.zip"
    _write_zip(path, "images_background", 7)
    for split, name in (("official", "test"), ("maml", "val")):
        with pytest.raises(DataError, match=f"none of the 7 characters.*for {name}"):
            Omniglot(root=path, split=split, size=8).open(name)


def test_lists_are_checked_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    _write_zip(path, "images_background", 2)
    lists = Omniglot(root=path, split="lists", lists=tmp_path, size=8)
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text("A0/character01\n")
    (tmp_path / "val.txt").write_text("A0/character01/rot090\nA1/character01\n")
    source = lists.open("val")
    assert [(m.index, m.turns) for m in source.members] == [(0, 1), (1, 0)]
    (tmp_path / "val.txt").write_text("A0/character01/rot045\n")
    with pytest.raises(DataError, match="names 'A0/character01/rot045'"):
        lists.open("val")
    (tmp_path / "test.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read .*test\.txt"):
        lists.open("test")
    with pytest.raises(DataError, match=r"-s dataset\.lists=PATH"):
        lists.model_copy(update={"lists": None}).open("val")


def test_omniglot_says_what_is_wrong_with_its_root(tmp_path: Path) -> None:
    for root, message in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "has neither images_background"),
        (Path(__file__), "no folder, zip or tar"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            Omniglot(root=root).open("train")
        assert "dataset.root" in str(caught.value)
        assert "\n" not in str(caught.value)
    empty = tmp_path / "empty.zip"
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(DataError, match="no Omniglot images"):
        Omniglot(root=empty).open("train")
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("images_background/A/character01/0001_01.png", b"no image")
    with pytest.raises(DataError, match=r"cannot read .*zip:images_background/A"):
        Omniglot(root=broken).open("train")
