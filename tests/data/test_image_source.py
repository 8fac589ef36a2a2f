"""Episodes from a bank, seen through images that say which item they are."""

import numpy as np
import pytest
import torch

from metapipe import Task, UnsupportedError
from metapipe.data.bank import Bank
from metapipe.data.image_source import ImageClass, ImageSource, with_rotations
from metapipe.data.sampling import tasks

SIZES = [20, 7, 30, 12, 25, 9]


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Item i of class c is a 2x2 image whose corners are c, i, 0, 255."""
    rows = [[(c, i, 0, 255) for i in range(size)] for c, size in enumerate(SIZES)]
    items = np.array([pixel for row in rows for pixel in row], np.uint8)
    starts = np.cumsum([0, *SIZES])
    names = tuple(f"class{c}" for c in range(len(SIZES)))
    return Bank(items.reshape(-1, 2, 2), names, starts, "print")


def source(bank: Bank, **changes) -> ImageSource:
    members = tuple(ImageClass(c) for c in range(len(SIZES)))
    return ImageSource(bank, members, **changes)


def test_images_are_those_of_the_classes_and_items_named(bank) -> None:
    episodes = source(bank).draw(tasks("x", "train", 3, 0, 10, 4, 2, 3))
    support = (episodes.support.inputs * 255).round().long()
    assert support.shape == (10, 8, 1, 2, 2)
    labels = episodes.support.targets
    assert episodes.class_indices is not None
    assert episodes.items is not None
    assert torch.equal(support[:, :, 0, 0, 0], episodes.class_indices.gather(1, labels))
    assert torch.equal(support[:, :, 0, 0, 1], episodes.items[:, :, :2].reshape(10, 8))
    query = (episodes.query.inputs * 255).round().long()
    assert torch.equal(query[:, :, 0, 0, 1], episodes.items[:, :, 2:].reshape(10, 12))
    assert episodes.support.inputs.max() == 1.0


def test_labels_have_nothing_to_do_with_class_numbers(bank) -> None:
    episodes = source(bank).draw(tasks("x", "train", 0, 0, 3000, 5, 1, 1))
    assert episodes.class_indices is not None
    for label in range(5):
        mean = episodes.class_indices[:, label].double().mean().item()
        assert mean == pytest.approx(2.5, abs=0.15)


def test_quarter_turns_are_numpys(bank) -> None:
    turned = tuple(with_rotations([ImageClass(2)]))
    drawn = ImageSource(bank, turned)
    assert list(drawn.facts.classes) == [
        "class2",
        "class2/rot090",
        "class2/rot180",
        "class2/rot270",
    ]
    episodes = drawn.draw(tasks("x", "train", 0, 0, 5, 4, 1, 1))
    assert episodes.class_indices is not None
    assert episodes.items is not None
    for episode in range(5):
        for label in range(4):
            turns = int(episodes.class_indices[episode, label])
            item = int(episodes.items[episode, label, 0])
            expected = np.rot90(bank.items[bank.starts[2] + item], turns)
            image = (episodes.support.inputs[episode, label, 0] * 255).round()
            assert np.array_equal(image.numpy(), expected)


def test_random_turns_are_one_per_class_and_episode(bank) -> None:
    episodes = source(bank, random_turns=True).draw(
        tasks("x", "train", 0, 0, 200, 3, 3, 3)
    )
    bright = (episodes.support.inputs.flatten(2) == 1.0).int().argmax(-1)
    groups = bright.reshape(200, 3, 3)
    assert torch.equal(groups, groups[..., :1].expand_as(groups))
    _, counts = groups[..., 0].unique(return_counts=True)
    assert len(counts) == 4
    assert counts.min() > 100


def test_the_fingerprint_covers_what_is_drawn(bank) -> None:
    plain = source(bank)
    prints = {
        plain.facts.fingerprint,
        source(bank, random_turns=True).facts.fingerprint,
        ImageSource(bank, plain.members[:5]).facts.fingerprint,
        ImageSource(bank, tuple(with_rotations(plain.members))).facts.fingerprint,
    }
    assert len(prints) == 4
    assert source(bank).facts.fingerprint == plain.facts.fingerprint


def test_what_cannot_be_drawn_is_refused_with_what_can(bank) -> None:
    drawn = source(bank)
    drawn.check(Task("x", "val", 0, 0, 6, 3, 4))
    with pytest.raises(UnsupportedError, match="6 classes and cannot give 7 ways"):
        drawn.check(Task("x", "val", 0, 0, 7, 1, 1))
    with pytest.raises(UnsupportedError, match="'class1' of the val split has 7 items"):
        drawn.check(Task("x", "val", 0, 0, 5, 4, 4))


def test_an_episode_is_a_function_of_its_task(bank) -> None:
    one = Task("x", "val", 5, 77, 3, 2, 2)
    many = source(bank).draw(tasks("x", "val", 5, 70, 10, 3, 2, 2))
    alone = source(bank).draw([one])
    assert many.tasks[7] == one
    assert torch.equal(many.query.inputs[7], alone.query.inputs[0])
