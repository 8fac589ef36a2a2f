"""Digits: scikit-learn's images, whole digits held out."""

import numpy as np
from sklearn.datasets import load_digits

from metapipe.testing import DatasetContract
from metapipe_plugins.datasets.digits import Digits


class TestDigits(DatasetContract):
    dataset = Digits()

    def test_whole_digits_are_held_out(self) -> None:
        names = [set(Digits().open(s).facts.classes) for s in ("train", "val", "test")]
        assert [len(n) for n in names] == [24, 8, 8]
        assert {name[0] for name in names[2]} == {"3", "4"}
        assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]

    def test_images_are_scikit_learns(self) -> None:
        data = load_digits()
        bank = Digits().open("train").bank
        three = data.images[data.target == 3]
        assert np.allclose(
            bank.items[bank.starts[3] : bank.starts[4]] / 255, three / 16, atol=2e-3
        )
