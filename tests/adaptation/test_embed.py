"""Vectors alone."""

import numpy as np
import pytest
import torch
from pictures import picture
from sentences import write_model

import metapipe
from metapipe import DataError
from metapipe.data import SentenceEncoder
from metapipe.errors import SettingError, UnknownNameError
from metapipe_plugins.backbones.gradients import Gradients

SMALL = {"size": 32, "cell": 8}
PICTURES = [picture(seed, (40, 32)) for seed in range(3)]


def test_pictures_of_any_form_have_the_vectors_of_the_backbone(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, PICTURES, strict=True):
        image.save(path)
    wanted = Gradients(**SMALL).encoder().encode(PICTURES)
    arrays = [np.asarray(image) for image in PICTURES]
    for items in (paths, list(map(str, paths)), PICTURES, arrays, np.stack(arrays)):
        found = metapipe.embed(items, "gradients", settings=SMALL)
        assert found.dtype == np.float32
        assert torch.equal(torch.from_numpy(found), wanted)
    assert metapipe.embed([], "gradients", settings=SMALL).shape == (0, wanted.shape[1])


def test_texts_have_those_of_their_model(tmp_path, monkeypatch):
    folder = write_model(tmp_path)
    texts = ["card please", "my refund"]
    wanted = SentenceEncoder.of(folder, "text", "label").encode(texts)
    monkeypatch.chdir(folder.parent)  # a path is from here
    settings = {"folder": folder.name}
    found = metapipe.embed(texts, "sentence-transformers", settings=settings)
    assert torch.equal(torch.from_numpy(found), wanted)


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ValueError, match="one str: a list of them is wanted"):
        metapipe.embed("a.png", "gradients")
    with pytest.raises(ValueError, match=r"\(40, 32, 3\) is one picture"):
        metapipe.embed(np.zeros((40, 32, 3), np.uint8), "gradients")
    with pytest.raises(UnknownNameError, match="did you mean 'gradients'"):
        metapipe.embed(PICTURES, "gradient")
    with pytest.raises(SettingError, match="did you mean 'size'"):
        metapipe.embed(PICTURES, "gradients", settings={"sise": 32})
    with pytest.raises(DataError, match=r"cannot read .*a\.png"):
        metapipe.embed([tmp_path / "a.png"], "gradients")
