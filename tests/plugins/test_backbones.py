"""Our own backbones: the published contract, and a computation beside theirs."""

import math
import shutil
import sys

import numpy as np
import pytest
import torch
from pictures import picture
from sentences import write_model

from metapipe import DataError
from metapipe.errors import SettingError
from metapipe.experiment.registry import load
from metapipe.testing import BackboneContract
from metapipe_plugins.backbones.gradients import Gradients, histograms
from metapipe_plugins.backbones.sentence_transformers import SentenceTransformers

REGISTRY = load()
PICTURES = [picture(seed, (40, 30)) for seed in range(4)]


class TestGradients(BackboneContract):
    backbone = Gradients()
    other = Gradients(directions=8)
    items = PICTURES


class TestSmallGradients(BackboneContract):
    backbone = Gradients(size=20, cell=6, directions=2, fit="pad")
    other = Gradients(size=20, cell=6, directions=2, fit="stretch")
    items = PICTURES


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model's folder, and one with another file."""
    folder = write_model(tmp_path_factory.mktemp("model"))
    other = shutil.copytree(folder, tmp_path_factory.mktemp("other") / "model")
    (other / "README.md").write_text("changed")
    return folder, other


class TestSentenceTransformers(BackboneContract):
    items = ("card please", "my refund", "cash limit fee please")

    @pytest.fixture(autouse=True)
    def _models(self, folders):
        self.backbone, self.other = (SentenceTransformers(folder=f) for f in folders)


def by_hand(grey, cell, directions):
    """The same histograms, pixel by pixel in double precision."""
    height, width = grey.shape
    rows, columns = height // cell, width // cell
    cells = np.zeros((rows, columns, directions))
    for y in range(rows * cell):
        for x in range(columns * cell):
            inside = 0 < x < width - 1, 0 < y < height - 1
            across = grey[y, x + 1] - grey[y, x - 1] if inside[0] else 0.0
            down = grey[y + 1, x] - grey[y - 1, x] if inside[1] else 0.0
            angle = math.degrees(math.atan2(down, across)) % 180
            place = angle / (180 / directions) - 0.5
            lower, share = math.floor(place), place - math.floor(place)
            vote = math.hypot(across, down) / cell**2
            cells[y // cell, x // cell, lower % directions] += (1 - share) * vote
            cells[y // cell, x // cell, (lower + 1) % directions] += share * vote
    blocks = []
    for row in range(rows - 1):
        for column in range(columns - 1):
            block = cells[row : row + 2, column : column + 2].reshape(4, directions)
            block = block.T.ravel()
            block = block / np.sqrt((block**2).sum() + 0.01**2)
            block = np.minimum(block, 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 0.01**2))
    return np.concatenate(blocks)


@pytest.mark.parametrize(("size", "cell", "directions"), [(24, 6, 9), (26, 8, 4)])
def test_gradients_are_those_counted_by_hand(size, cell, directions):
    backbone = Gradients(size=size, cell=cell, directions=directions)
    encoder = backbone.encoder()
    grey = encoder.image.encode(PICTURES[:2])
    found = histograms(grey, cell, directions)
    for vector, pixels in zip(found, grey, strict=True):
        expected = by_hand(pixels[0].double().numpy(), cell, directions)
        np.testing.assert_allclose(vector.numpy(), expected, atol=1e-5)
    assert torch.equal(encoder.encode(PICTURES[:2]), found)


def test_a_picture_without_edges_is_nought():
    flat = torch.full((1, 1, 96, 96), 0.7)
    assert not histograms(flat, 16, 9).any()


def test_an_edge_is_counted_in_its_direction():
    upright = torch.zeros(1, 1, 32, 32)
    upright[..., 16:] = 1  # edges run upwards: the gradient is at 0 degrees
    blocks = histograms(upright, 16, 9).reshape(9, 4)
    assert blocks.sum(1).nonzero().flatten().tolist() == [0, 8]


def test_a_library_that_is_not_installed_is_named(folders, tmp_path, monkeypatch):
    folder = shutil.copytree(folders[0], tmp_path / "model")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(DataError) as caught:
        SentenceTransformers(folder=folder).encoder()
    assert SentenceTransformers.install in str(caught.value)


def test_mistakes_are_told():
    with pytest.raises(SettingError, match=r"need a size of at least 64"):
        REGISTRY.create("backbone", "gradients", {"size": 40, "cell": 32})
    with pytest.raises(DataError, match=r"-s backbone.folder=PATH"):
        SentenceTransformers().encoder()
