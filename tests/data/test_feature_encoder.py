"""Vectors of pictures: each made alone, and once."""

import multiprocessing
import sqlite3
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from pictures import picture
from PIL import Image
from torch import nn

from metapipe import DataError
from metapipe.data import FeatureEncoder, ImageEncoder
from metapipe.data import vector_cache as cache_module


class Means(nn.Module):
    """Pictures (n, 3, h, w) -> (n, 3): what is looked at."""

    def forward(self, pictures):
        assert torch.is_inference_mode_enabled()
        Counting.seen += len(pictures)
        return pictures.mean((2, 3))


class Counting(FeatureEncoder):
    """Counts the pictures that its network sees."""

    type: Literal["counting"] = "counting"
    seen: ClassVar[int] = 0

    def digest(self):
        return 64 * "a"

    def network(self):
        return Means()


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    Counting.seen = 0
    image = ImageEncoder(height=6, width=6, channels=3, fit="crop")
    return Counting.of(image=image, width=3)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        picture(number, (8, 8)).save(path)
    return paths


def kept(tmp_path):
    (path,) = (tmp_path / "cache" / "vectors").iterdir()
    return path


def test_a_vector_is_made_once_by_what_is_in_the_file(encoder, files):
    first = encoder.encode(files)
    assert torch.equal(first, encoder.image.encode(files).mean((2, 3)))
    contents = [path.read_bytes() for path in files]
    renamed = files[0].rename(files[0].with_name("other.png"))
    for items in (contents, [renamed, *files[1:]], [str(renamed), *files[1:]]):
        assert torch.equal(encoder.encode(items), first)
    assert Counting.seen == 4
    files[1].write_bytes(contents[2])
    assert torch.equal(encoder.encode([files[1]])[0], first[2])
    assert Counting.seen == 4


def test_pictures_and_arrays_are_known_by_their_pixels(encoder, files):
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in files]
    first = encoder.encode(arrays)
    assert torch.equal(encoder.encode([Image.fromarray(a) for a in arrays]), first)
    assert Counting.seen == 4
    assert torch.equal(encoder.encode(files), first)  # a file's key is its own


def test_other_settings_have_vectors_of_their_own(encoder, files):
    first = encoder.encode(files)
    other = encoder.model_copy(update={"sha256": 64 * "b"})
    assert torch.equal(other.encode(files), first)
    assert Counting.seen == 8


@pytest.mark.parametrize("harm", ["no database", "torn", "read only"])
def test_a_cache_that_cannot_be_used_costs_no_vector(encoder, files, tmp_path, harm):
    first = encoder.encode(files)
    path = kept(tmp_path)
    if harm == "no database":
        path.write_bytes(b"x" * 5000)
    elif harm == "torn":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE vectors SET vector = zeroblob(length(vector))")
        database.close()
    else:
        path.unlink()
        path.mkdir()
    assert torch.equal(encoder.encode(files), first)
    assert Counting.seen == 8
    assert torch.equal(encoder.encode(files), first)
    assert torch.equal(encoder.encode(files), first)
    seen = {"no database": (12, 12), "torn": (8, 8), "read only": (16, 16)}
    assert Counting.seen in seen[harm]


def test_the_oldest_give_way(encoder, files, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MOST", 2 * (12 + 8))  # of three floats each
    encoder.encode(files)
    encoder.encode(files[2:])
    assert Counting.seen == 4
    encoder.encode(files[:1])
    assert Counting.seen == 5
    with sqlite3.connect(kept(tmp_path)) as database:
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (2,)
    database.close()


def _encode_all(encoder, paths, answers):
    answers.put([encoder.encode([path]).tolist() for path in paths])


def test_several_processes_share_it(encoder, files):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    several = [
        context.Process(target=_encode_all, args=(encoder, files * 20, answers))
        for _ in range(3)
    ]
    for process in several:
        process.start()
    found = [answers.get(timeout=60) for _ in several]
    for process in several:
        process.join(timeout=60)
    expected = encoder.image.encode(files).mean((2, 3))[:, None].tolist() * 20
    assert found == [expected] * 3
    encoder.encode(files)
    assert Counting.seen == 0  # here; the others have made them


def test_what_cannot_be_read_is_named(encoder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cannot read .*a.png: not an image"):
        encoder.encode([tmp_path / "a.png"])
    with pytest.raises(DataError, match=r"cannot read .*b.png: No such file"):
        encoder.encode([tmp_path / "b.png"])
    assert encoder.encode([]).shape == (0, 3)
