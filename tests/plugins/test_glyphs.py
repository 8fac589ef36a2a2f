"""Glyphs: legible letters, and none that looks like one of another split."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from metapipe.data.image_source import ImageSource
from metapipe.problem import Split
from metapipe.testing import DatasetContract
from metapipe_plugins.datasets.glyphs import Glyphs

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CONFUSABLE = [  # Latin, Greek, Cyrillic, Armenian, Georgian
    "A\u0391\u0410",
    "B\u0392\u0412",
    "E\u0395\u0415",
    "H\u0397\u041d",
    "L\u053c",
    "S\u0405\u054f",
    "U\u054d",
    "O\u039f\u041e\u0555",
    "h\u04bb\u0570",
    "n\u057c\u0578",
    "g\u0581",
    "q\u051b\u0566",
    "\u03a6\u0424\u0553",
    "\u03a0\u041f",
    "\u0393\u0413",
    "\u026f\u0448\u0561",
]


def _means(source: ImageSource) -> NDArray[np.float64]:
    """(classes, pixels): the mean drawing of each class."""
    ends = source.bank.starts
    items = [
        source.bank.items[ends[m.index] : ends[m.index + 1]] for m in source.members
    ]
    return np.stack([drawings.mean(0).reshape(-1) for drawings in items])


class TestGlyphs(DatasetContract):
    dataset = Glyphs()

    def test_the_counts_that_the_documentation_gives(self) -> None:
        counts = [len(Glyphs().open(s).members) for s in SPLITS]
        assert counts == [556, 135, 141]
        said = re.findall(r"\d+", Glyphs.__doc__ or "")
        assert [int(count) for count in said] == counts
        assert len(Glyphs(rotations=True).open("train").members) == 4 * 556

    def test_scripts_are_not_shared(self) -> None:
        train, val, test = (
            {name.partition("/")[0] for name in Glyphs().open(split).facts.classes}
            for split in SPLITS
        )
        assert val == {"Cyrillic"}
        assert test == {"Armenian", "Georgian"}
        assert train == {"Latin", "Greek", "Hebrew", "Arabic", "Lao", "Canadian"}

    @pytest.mark.parametrize("alike", CONFUSABLE)
    def test_letters_that_people_confuse_are_in_one_split_at_most(self, alike) -> None:
        having = [
            split
            for split in SPLITS
            if {n[-1] for n in Glyphs().open(split).facts.classes} & set(alike)
        ]
        assert len(having) <= 1

    def test_the_mean_drawings_of_two_splits_differ(self) -> None:
        """Not the rule by which letters are left out, but what it is for."""
        means = [_means(Glyphs().open(split)) for split in SPLITS]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            for row in means[b]:
                apart = np.abs(means[a] - row).sum(-1)
                ink = np.maximum(means[a].sum(-1), row.sum())
                assert (apart / ink).min() > 0.25

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
        still = Glyphs(jitter=0.0, drawings=13).draw("\u0531")
        assert np.array_equal(still[0], still[12]), "twelve fonts come round again"
        assert not np.array_equal(still[0], still[1])
        moved = Glyphs(drawings=13).draw("\u0531")
        assert not np.array_equal(moved[0], moved[12])
