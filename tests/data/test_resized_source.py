"""Images in the shape that a run learned, against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from metapipe.data.resized_source import fitted, resize
from metapipe.data.sampling import tasks
from metapipe.experiment.registry import load
from metapipe.problem import Problem

REGISTRY = load()
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (24, 18, 3)).astype(np.uint8)


def digits():
    return REGISTRY.create("dataset", "digits", {}).open("test")


def images(array):
    """(H, W, C) bytes -> (1, 1, C, H, W)."""
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None, None] / 255


@pytest.mark.parametrize("size", [(12, 9), (7, 7), (40, 36)])
def test_sizes_are_those_of_pillow(size):
    image = Image.fromarray(PHOTOGRAPH)
    theirs = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)) / 255
    ours = resize(images(PHOTOGRAPH), (3, *size))[0, 0].permute(1, 2, 0)
    np.testing.assert_allclose(ours, theirs, atol=1.5 / 255)


def test_grey_is_that_of_pillow():
    theirs = np.asarray(Image.fromarray(PHOTOGRAPH).convert("L")) / 255
    ours = resize(images(PHOTOGRAPH), (1, 24, 18))[0, 0, 0]
    np.testing.assert_allclose(ours, theirs, atol=1 / 255)


def test_grey_becomes_three_equal_channels():
    grey = images(PHOTOGRAPH[..., :1])
    assert torch.equal(resize(grey, (3, 24, 18)), grey.expand(1, 1, 3, 24, 18))


def test_episodes_are_those_of_the_source():
    source = digits()
    wanted = Problem("classification", (3, 28, 20), 5)
    resized = fitted(source, wanted, "digits")
    drawn = tasks("digits", "test", 0, 0, 3, 5, 2, 4)
    before, after = source.draw(drawn), resized.draw(drawn)
    assert after.support.inputs.shape == (3, 10, 3, 28, 20)
    assert after.query.inputs.shape == (3, 20, 3, 28, 20)
    assert torch.equal(after.support.targets, before.support.targets)
    assert torch.equal(after.items, before.items)
    assert resized.facts.fingerprint == source.facts.fingerprint
    assert resized.facts.shape == wanted.shape


@pytest.mark.parametrize(
    "problem",
    [
        Problem("classification", (1, 8, 8), 5),
        Problem("regression", (1, 28, 28), 1),
        Problem("classification", (32, 16), 5),
        Problem("classification", (4, 28, 28), 5),
    ],
)
def test_what_fits_or_cannot_fit_is_left_alone(problem):
    source = digits()
    assert fitted(source, problem, "digits") is source
