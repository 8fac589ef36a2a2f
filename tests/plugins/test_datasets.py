"""Our data sets: the published contract over all, and what each promises."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from shared import DATA, needs_data
from sklearn.datasets import load_digits

from metapipe import DataError, UnsupportedError
from metapipe.sampling import tasks
from metapipe.testing import DatasetContract
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.datasets.glyphs import ALIKE, Glyphs
from metapipe_plugins.datasets.omniglot import Omniglot
from metapipe_plugins.datasets.sinusoid import Sinusoid

OMNIGLOT = Omniglot(root=DATA / "omniglot.zip")


class TestGlyphs(DatasetContract):
    dataset = Glyphs()

    def test_the_counts_that_the_documentation_gives(self) -> None:
        counts = [len(Glyphs().open(s).members) for s in ("train", "val", "test")]
        assert counts == [711, 191, 145]
        assert len(Glyphs(rotations=True).open("train").members) == 4 * 711

    def test_scripts_are_not_shared(self) -> None:
        scripts = [
            {name.partition("/")[0] for name in Glyphs().open(split).classes}
            for split in ("train", "val", "test")
        ]
        assert scripts[1] == {"Cyrillic"}
        assert scripts[2] == {"Armenian", "Georgian"}
        assert not scripts[0] & (scripts[1] | scripts[2])

    def test_no_letter_of_one_split_looks_like_one_of_another(self) -> None:
        """By the average drawing: nothing is nearer than the rule allows by half."""
        sources = [Glyphs().open(split) for split in ("train", "val", "test")]
        means = [
            np.stack(
                [
                    s.bank.items[s.bank.starts[m.index] : s.bank.starts[m.index + 1]]
                    .mean(0)
                    .reshape(-1)
                    for m in s.members
                ]
            )
            for s in sources
        ]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            for row in means[b]:
                difference = np.abs(means[a] - row).sum(-1)
                ink = np.maximum(means[a].sum(-1), row.sum())
                assert (difference / ink).min() > ALIKE / 2

    def test_letters_are_centred_legible_and_unclipped(self) -> None:
        images = np.asarray(Glyphs().open("test").bank.items, np.float64)
        ink = images.sum((1, 2)) / 255
        assert ink.min() > 12, "something is drawn"
        border = np.concatenate([images[:, [0, -1]].reshape(len(images), -1)], 1)
        assert (border.max(-1) > 128).mean() < 0.02
        grid = np.arange(28)
        middle = (images.sum(1) * grid).sum(-1) / images.sum((1, 2))
        assert abs(middle.mean() - 13.5) < 0.5

    def test_fonts_differ_and_jitter_can_be_switched_off(self) -> None:
        still = Glyphs(jitter=0.0, drawings=13).open("test").bank
        first = still.items[: still.starts[1]]
        assert np.array_equal(first[0], first[-1]), "fonts come round again"
        assert not np.array_equal(first[0], first[1])


class TestDigits(DatasetContract):
    dataset = Digits()

    def test_whole_digits_are_held_out(self) -> None:
        names = [set(Digits().open(s).classes) for s in ("train", "val", "test")]
        assert [len(n) for n in names] == [24, 8, 8]
        assert {name[0] for name in names[2]} == {"8", "9"}

    def test_images_are_scikit_learns(self) -> None:
        data = load_digits()
        bank = Digits().open("train").bank
        three = data.images[data.target == 3]
        assert np.allclose(
            bank.items[bank.starts[3] : bank.starts[4]] / 255, three / 16, atol=2e-3
        )


class TestSinusoid(DatasetContract):
    dataset = Sinusoid()
    ways = 1
    shots = 5
    queries = 6

    def test_anchors(self) -> None:
        """algorithms.md 2: zero, best non-adaptive, and oracle predictors."""
        drawn = (
            Sinusoid().open("test").draw(tasks("s", "test", 0, 0, 20_000, 1, 10, 10))
        )
        x, y = (t.double().squeeze(-1) for t in drawn.query)
        assert (y**2).mean().item() == pytest.approx(4.2517, rel=0.02)
        assert ((y + 1.62338 * x.cos()) ** 2).mean().item() == pytest.approx(
            3.0057, rel=0.02
        )
        xs, ys = (t.double().squeeze(-1) for t in drawn.support)
        features = torch.stack([xs.sin(), xs.cos()], -1)
        weights = torch.linalg.lstsq(features, ys[..., None]).solution
        fitted = torch.stack([x.sin(), x.cos()], -1) @ weights
        assert ((fitted.squeeze(-1) - y) ** 2).max().item() < 1e-6

    def test_the_grid_is_for_evaluation_only(self) -> None:
        grid = Sinusoid(query="grid")
        recipe = tasks("s", "test", 0, 0, 2, 1, 5, 11)
        x = grid.open("test").draw(recipe).query.inputs.squeeze(-1)
        assert x[1].tolist() == pytest.approx(list(range(-5, 6)))
        assert not torch.equal(*grid.open("train").draw(recipe).query.inputs)

    def test_ranges_are_checked_and_ways_must_be_one(self) -> None:
        with pytest.raises(ValidationError, match="the first is the greater"):
            Sinusoid(amplitude=(2.0, 1.0))
        with pytest.raises(UnsupportedError, match="--ways 1"):
            Sinusoid().open("train").check(5, 1, 1)


@needs_data
class TestOmniglot(DatasetContract):
    dataset = OMNIGLOT

    def test_maml_split(self) -> None:
        sources = [OMNIGLOT.open(split) for split in ("train", "val", "test")]
        members = [{m.index for m in source.members} for source in sources]
        assert [len(m) for m in members] == [1100, 100, 423]
        assert len(set.union(*members)) == 1623

    def test_official_split_is_by_alphabet(self) -> None:
        official = OMNIGLOT.model_copy(update={"split": "official"})
        names = {s: official.open(s).classes for s in ("train", "val", "test")}
        assert len(names["train"]) + len(names["val"]) == 964
        assert len(names["test"]) == 659
        alphabets = {s: {n.split("/")[1] for n in names[s]} for s in names}
        assert [len(alphabets[s]) for s in ("train", "val", "test")] == [25, 5, 20]
        assert not alphabets["train"] & alphabets["val"]

    def test_vinyals_lists_with_their_rotations(self) -> None:
        folder = DATA / "splits" / "omniglot_vinyals"
        lists = OMNIGLOT.model_copy(update={"split": "lists", "lists": folder})
        counts = [len(lists.open(s).classes) for s in ("train", "val", "test")]
        assert counts == [4112, 688, 1692]
        assert not lists.open("test").random_turns

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


def test_omniglot_says_what_is_wrong_with_its_root(tmp_path: Path) -> None:
    for root, message in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "has neither images_background"),
        (Path(__file__), "is not a readable zip"),
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
    with pytest.raises(DataError, match="cannot read images_background/A"):
        Omniglot(root=broken).open("train")


@pytest.mark.parametrize(
    "dataset", [Glyphs(), Digits(), Sinusoid()], ids=lambda d: type(d).__name__
)
def test_another_process_draws_the_same_episodes(dataset) -> None:
    ways = 1 if isinstance(dataset, Sinusoid) else 3
    program = f"""
import hashlib, json
from {type(dataset).__module__} import {type(dataset).__name__} as D
from metapipe.sampling import tasks
source = D().open("val")
drawn = source.draw(tasks("x", "val", 9, 3, 2, {ways}, 1, 4)[::-1])
print(json.dumps([hashlib.sha256(t.numpy().tobytes()).hexdigest()
    for e in (1, 0) for t in (drawn.support.inputs[e], drawn.query.inputs[e])]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    ours = []
    source = dataset.open("val")
    for recipe in tasks("x", "val", 9, 3, 2, ways, 1, 4):
        drawn = source.draw([recipe])
        for samples in (drawn.support, drawn.query):
            content = samples.inputs[0].numpy().tobytes()
            ours.append(hashlib.sha256(content).hexdigest())
    assert json.loads(done.stdout) == ours
