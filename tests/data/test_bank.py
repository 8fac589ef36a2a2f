"""Banks: built once, read back whole, rebuilt if damaged or if a source changed."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from metapipe.data.bank import Bank, identity, open_bank
from metapipe.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def parts(value: int = 1):
    yield "one", np.full((2, 4, 3), value, np.uint8)
    yield "two", np.full((5, 4, 3), 9, np.uint8)


def never():
    raise AssertionError("built twice")


def test_a_bank_is_built_once_and_mapped(cache: Path) -> None:
    bank = open_bank("tiny", {"version": 1}, parts)
    assert bank.classes == ("one", "two")
    assert bank.sizes.tolist() == [2, 5]
    assert bank.shape == (1, 4, 3)
    again = open_bank("tiny", {"version": 1}, never)
    assert isinstance(again.items, np.memmap)
    assert np.array_equal(again.items, bank.items)
    assert again.fingerprint == bank.fingerprint


def test_the_fingerprint_is_of_the_content() -> None:
    first = open_bank("tiny", 1, parts)
    assert open_bank("tiny", 2, parts).fingerprint == first.fingerprint
    other = open_bank("tiny", 3, lambda: parts(2))
    assert other.fingerprint != first.fingerprint


@pytest.mark.parametrize("file", ["items.npy", "bank.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "garbage", "list"])
def test_a_damaged_bank_is_rebuilt(cache: Path, file: str, damage: str) -> None:
    bank = open_bank("tiny", 1, parts)
    expected = bank.fingerprint
    (path,) = cache.glob(f"banks/tiny-*/{file}")
    if damage == "gone":
        path.unlink()
    else:
        content = path.read_bytes()
        contents = {"cut": content[:20], "empty": b"", "list": b"[1, 2]"}
        path.write_bytes(contents.get(damage, b"garbage"))
    again = open_bank("tiny", 1, parts)
    assert again.fingerprint == expected
    assert again.items.shape == (7, 4, 3)


def test_no_pickle_is_read(cache: Path) -> None:
    open_bank("tiny", 1, parts)
    (path,) = cache.glob("banks/tiny-*/items.npy")
    np.save(path, np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    assert open_bank("tiny", 1, parts).items.dtype == np.uint8


def test_processes_that_build_at_once_agree() -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        prints = pool.map(_open, range(3))
    assert len(set(prints)) == 1


def _open(_: int) -> str:
    return open_bank("tiny", "at once", parts).fingerprint


def test_nothing_to_build_from_is_an_error() -> None:
    with pytest.raises(DataError, match="no classes"):
        open_bank("tiny", 1, lambda: iter(()))


def test_identity_notices_changes_in_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = identity(folder)
    assert identity(folder) == before
    (folder / "b").write_text("2")
    assert identity(folder) != before
    with pytest.raises(DataError, match="cannot read"):
        identity(tmp_path / "none")


def test_colour_images_have_their_channels_first() -> None:
    bank = open_bank("colour", 1, lambda: [("x", np.zeros((2, 5, 4, 3), np.uint8))])
    assert isinstance(bank, Bank)
    assert bank.shape == (3, 5, 4)
