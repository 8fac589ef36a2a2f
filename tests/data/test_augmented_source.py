"""Augmented episodes: what happens to each image is a function of the task."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from commands import metapipe, metapipe_json
from pictures import write_classes
from scipy.stats import chisquare

from metapipe import DataError, Dataset, Task, UnsupportedError
from metapipe.data import ArraySource, Augmentation, AugmentedSource, GroupSource
from metapipe.data.sampling import tasks
from metapipe.experiment.registry import load
from metapipe.runs.stored_run import require_same_data
from metapipe.store import TaskStore, default_url
from metapipe.testing import DatasetContract

PAD = 2
SIDES = (9, 7)
MIDDLE = (SIDES[0] // 2, SIDES[1] // 2)


def source() -> ArraySource:
    """Images of two channels whose values all differ: each tells its place."""
    count, cells = 12 * 20, 2 * SIDES[0] * SIDES[1]
    items = 1 + np.arange(count * cells, dtype=np.float32).reshape(count, 2, *SIDES)
    return ArraySource(items, [f"c{c}" for c in range(12)], np.arange(13) * 20)


class Wrapped(Dataset):
    """The source above, augmented, with other classes in each split."""

    def open(self, split) -> AugmentedSource:
        """A third of the classes."""
        part = 80 * ("train", "val", "test").index(split)
        items = source().items[part : part + 80]
        inner = ArraySource(items, [f"{split}{c}" for c in range(4)], np.arange(5) * 20)
        return AugmentedSource(inner, Augmentation(pad=PAD))


class TestContract(DatasetContract):
    dataset = Wrapped()


RECIPES = tasks("x", "train", 3, 0, 400, 5, 3, 3)


@pytest.fixture(scope="module")
def parts():
    """Plain images, augmented ones, and what was done: (sets, T, n) of flips, rows and
    columns, read off the middle of the augmented image."""
    plain = source().draw(RECIPES)
    moved = AugmentedSource(source(), Augmentation(pad=PAD)).draw(RECIPES)
    assert torch.equal(plain.items, moved.items)
    assert torch.equal(plain.support.targets, moved.support.targets)
    before, after = (
        torch.stack([each.support.inputs, each.query.inputs]).numpy()
        for each in (plain, moved)
    )
    row, column = MIDDLE
    here, right = after[..., 0, row, column], after[..., 0, row, column + 1]
    flips = right < here
    place = (here - before[..., 0, 0, 0]).astype(int)
    rows = place // SIDES[1] - row + PAD
    columns = place % SIDES[1] - column + PAD
    return before, after, np.stack([flips, rows, columns])


def test_images_are_those_of_numpy(parts):
    before, after, moves = parts
    margin = [(0, 0)] * 4 + [(PAD, PAD)] * 2
    padded = np.pad(before[:, :40], margin)
    for index in np.ndindex(padded.shape[:3]):
        flip, row, column = moves[(slice(None), *index)]
        wanted = padded[index][:, row : row + SIDES[0], column : column + SIDES[1]]
        assert np.array_equal(after[index], np.flip(wanted, 2) if flip else wanted)


def test_each_move_is_as_likely(parts):
    _, _, (flips, rows, columns) = parts
    assert flips.mean() == pytest.approx(0.5, abs=0.02)  # of 12,000: 4 sigma
    each = (flips * 5 + rows) * 5 + columns
    assert chisquare(np.bincount(each.ravel(), minlength=50)).pvalue > 1e-3


def test_images_of_a_task_are_moved_independently(parts):
    """Support and query at the same place, neighbours, and neighbouring tasks."""
    _, _, moves = parts
    flips, rows, columns = moves
    each = (flips * 5 + rows) * 5 + columns
    pairs = [
        (each[0], each[1]),
        (each[:, :, 1:], each[:, :, :-1]),
        (each[:, 1:], each[:, :-1]),
    ]
    for one, other in pairs:
        assert (one == other).mean() == pytest.approx(1 / 50, abs=0.006)


def test_an_image_keeps_its_move_where_classes_have_unequal_numbers():
    drawn = AugmentedSource(source(), Augmentation(pad=PAD))
    whole = drawn.draw([Task("x", "train", 0, 7, 5, 4, 2)])
    some = drawn.draw([Task("x", "train", 0, 7, 5, 4, 2, support=11)])
    known = {image.tobytes() for image in whole.support.inputs[0].numpy()}
    assert {image.tobytes() for image in some.support.inputs[0].numpy()} <= known
    assert torch.equal(whole.query.inputs, some.query.inputs)


def test_there_may_be_nothing_to_learn_from():
    recipe = Task("x", "train", 0, 0, 5, 0, 2)
    drawn = AugmentedSource(source(), Augmentation(pad=PAD)).draw([recipe])
    assert drawn.support.inputs.shape == (1, 0, 2, *SIDES)


def test_without_a_pad_images_are_mirrored_or_not():
    plain = source().draw(RECIPES).query.inputs
    moved = AugmentedSource(source()).draw(RECIPES).query.inputs
    same = (moved == plain).flatten(2).all(-1)
    mirrored = (moved == plain.flip(-1)).flatten(2).all(-1)
    assert (same ^ mirrored).all()
    assert same.double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_facts_are_the_sources_but_for_the_fingerprint():
    inner = source()
    wrapped = [
        AugmentedSource(inner, Augmentation(flip, pad))
        for flip, pad in ((True, 0), (True, 1), (False, 1))
    ]
    prints = {each.facts.fingerprint for each in wrapped}
    assert len(prints | {inner.facts.fingerprint}) == 4
    assert wrapped[0].facts.classes == inner.facts.classes
    assert list(wrapped[0].digests()) == list(inner.digests())


def test_what_is_no_labelled_image_is_refused():
    task = Task("x", "train", 0, 0, 2, 1, 1)
    flat = ArraySource(np.zeros((20, 3), np.float32), ["a", "b"], np.array([0, 9, 20]))
    with pytest.raises(UnsupportedError, match=r"not classification of shape \(3,\)"):
        AugmentedSource(flat).check(task)
    numbers = np.zeros((20, 1), np.float32)
    rows = GroupSource(
        np.zeros((20, 1, 4, 4), np.float32), ["g"], np.array([0, 20]), targets=numbers
    )
    with pytest.raises(UnsupportedError, match="not regression"):
        AugmentedSource(rows).check(task)


DIGEST = """
import hashlib, sys
from metapipe import Task
from metapipe.experiment.registry import load
from metapipe.data import Augmentation, AugmentedSource
digits = load().create("dataset", "digits", {}).open("train")
drawn = AugmentedSource(digits, Augmentation(pad=1))
for index in map(int, sys.argv[1:]):
    episode = drawn.draw([Task("digits", "train", 5, index, 4, 2, 3)])
    both = episode.support.inputs.numpy(), episode.query.inputs.numpy()
    print(hashlib.sha256(both[0].tobytes() + both[1].tobytes()).hexdigest())
"""


def test_another_process_draws_the_same_bits():
    digits = load().create("dataset", "digits", {}).open("train")
    drawn = AugmentedSource(digits, Augmentation(pad=1))
    episodes = drawn.draw(tasks("digits", "train", 5, 0, 12, 4, 2, 3))
    found = [
        hashlib.sha256(
            episodes.support.inputs[n].numpy().tobytes()
            + episodes.query.inputs[n].numpy().tobytes()
        ).hexdigest()
        for n in (11, 3)
    ]
    command = [sys.executable, "-c", DIGEST, "11", "3"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.split() == found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with pictures in which a run was trained on augmented ones."""
    folder = tmp_path_factory.mktemp("augmented")
    write_classes(folder / "root", {f"c{n}": 10 for n in range(12)})
    metapipe(
        *("train", "--plugin", "protonet", "--dataset", "image-folder"),
        *("-s", "dataset.root=root", "-s", "dataset.size=16", "--model", "mlp"),
        *("-s", "dataset.augment=crop-flip", "--ways", "2", "--queries", "3"),
        *("--iterations", "4", "--tasks", "2", "--validate-every", "2"),
        *("--log-every", "1", "-s", "evaluation.episodes=4", "--mapping", "loop"),
        *("--validation-episodes", "4", "--name", "one", "--minutes", "1e-9"),
        cwd=folder,
    )
    return folder


def test_only_training_pictures_are_augmented(project):
    for kind in ("none", "flip", "crop-flip"):
        dataset = load().create(
            "dataset",
            "image-folder",
            {"root": project / "root", "size": 16, "augment": kind},
        )
        classes = [type(dataset.open(split)).__name__ for split in ("val", "test")]
        assert classes == ["ImageSource"] * 2
        train = dataset.open("train")
        assert isinstance(train, AugmentedSource) == (kind != "none")
        if kind != "none":
            pad = {"flip": 0, "crop-flip": 2}[kind]
            assert train.augmentation == Augmentation(pad=pad)
            assert train.facts.encoder == dataset.open("val").facts.encoder


def test_a_run_on_augmented_pictures_is_drawn_again_and_judged(project):
    """Both compare the fingerprint with the recorded one, as resuming does."""
    (first, *_) = metapipe_json("episodes", "list", "one", cwd=project)
    shown = metapipe_json("episodes", "show", str(first["id"]), cwd=project)
    assert shown["loss"] > 0
    assert metapipe_json("evaluate", "one", "--episodes", "4", cwd=project)["loss"] > 0
    settings = {"root": project / "root", "size": 16, "augment": "crop-flip"}
    with TaskStore.open(default_url(project)) as store:
        known = store.run(1).fingerprint
    same = load().create("dataset", "image-folder", settings).open("train")
    require_same_data(known, same)
    other = load().create("dataset", "image-folder", {**settings, "augment": "flip"})
    with pytest.raises(DataError, match="have changed"):
        require_same_data(known, other.open("train"))
