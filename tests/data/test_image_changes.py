"""Changes of images, against Pillow's and SciPy's."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import rotate

from metapipe import Task
from metapipe.data import ArraySource, Augmentation, AugmentedSource
from metapipe.data.image_changes import SHIFT, TURN, jittered, turned

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)
STEP = 2 / 255
"""Pillow rounds to bytes after each change."""

STILL = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("number", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("place", "enhance"),
    [
        (0, ImageEnhance.Brightness),
        (1, ImageEnhance.Contrast),
        (2, ImageEnhance.Color),
    ],
)
def test_colours_are_those_of_pillow(place, enhance, number) -> None:
    image = np.moveaxis(PICTURE, -1, 0)[None].astype(np.float32) / 255
    numbers = np.array([STILL])
    numbers[0, place] = number
    factor = 1 + 0.4 * (2 * number - 1)
    want = np.asarray(enhance(Image.fromarray(PICTURE)).enhance(factor)) / 255
    got = np.moveaxis(jittered(image, numbers, 0.4)[0], 0, -1)
    assert np.abs(got - want).max() <= STEP


def test_grey_images_have_no_saturation() -> None:
    image = PICTURE[None, None, ..., 0].astype(np.float32) / 255
    numbers = np.array([[0.5, 0.5, 1.0]])
    np.testing.assert_allclose(jittered(image, numbers, 0.4), image, atol=1e-6)


def smooth(side: int) -> np.ndarray:
    x, y = np.meshgrid(*[np.linspace(-3, 3, side)] * 2)
    return (np.sin(x + 0.5 * y) * np.cos(y) * 0.5 + 0.5).astype(np.float32)[None, None]


def test_what_is_turned_by_nothing_stays() -> None:
    image = smooth(20)
    still = turned(image, np.full((1, 4), 0.5))
    np.testing.assert_allclose(still, image, atol=1e-5)


def test_a_shift_is_of_whole_pixels_where_it_says_so() -> None:
    image, pixels = smooth(100), round(SHIFT * 100)
    got = turned(image, np.array([[0.5, 0.5, 1.0, 0.5]]))
    np.testing.assert_allclose(got[..., : 100 - pixels], image[..., pixels:], atol=1e-4)


def test_a_turn_is_scipys() -> None:
    image = smooth(101)
    got = turned(image, np.array([[1.0, 0.5, 0.5, 0.5]]))[0, 0]
    want = rotate(image[0, 0], TURN, reshape=False, order=1)
    middle = np.s_[20:-20, 20:-20]
    other = rotate(image[0, 0], -TURN, reshape=False, order=1)
    nearest = min(np.abs(got - w)[middle].max() for w in (want, other))
    assert nearest < 0.01


@pytest.mark.parametrize(
    "change", [Augmentation(flip=False, turn=True), Augmentation(jitter=0.4, pad=1)]
)
def test_a_task_says_what_is_done(change) -> None:
    """The same task gives the same images, support and query are changed apart, and
    values stay in [0, 1]."""
    items = np.random.default_rng(1).random((60, 3, 8, 8), np.float32)
    names = ["a", "b", "c"]
    source = AugmentedSource(ArraySource(items, names, np.arange(4) * 20), change)
    tasks = [Task("x", "train", 0, n, 3, 2, 2) for n in range(3)]
    whole, alone = source.draw(tasks), source.draw(tasks[1:2])
    assert np.array_equal(whole.support.inputs[1], alone.support.inputs[0])
    assert np.array_equal(whole.query.inputs[1], alone.query.inputs[0])
    assert 0 <= whole.query.inputs.min() <= whole.query.inputs.max() <= 1
    plain = source.source.draw(tasks)
    changed = (whole.query.inputs != plain.query.inputs).flatten(2).any(-1)
    assert changed.float().mean() > 0.9
