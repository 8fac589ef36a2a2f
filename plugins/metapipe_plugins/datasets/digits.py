"""scikit-learn's handwritten digits: 8x8 images that come with the library.

Ten digits in four orientations make forty classes. A split has whole digits, so no
orientation of a test digit was ever seen. Which digits is not left to chance: 0, 1, 2
and 8 look the same upside down, and a 6 becomes a 9. These are trained on; the digits
held out have four orientations that can be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import ClassVar

import numpy as np

from metapipe import (
    Dataset,
    Kind,
    Register,
    Split,
    hookimpl,
)
from metapipe.data import (
    Bytes,
    ImageClass,
    ImageEncoder,
    ImageSource,
    open_bank,
    with_rotations,
)

DIGITS: dict[Split, tuple[int, ...]] = {
    "train": (0, 1, 2, 6, 8, 9),
    "val": (5, 7),
    "test": (3, 4),
}


ENCODER = ImageEncoder(height=8, width=8, channels=1, fit="stretch")
"""Ink is bright and paper dark, as the library has it."""


class Digits(Dataset):
    """Small digits in four orientations: quick to try things on."""

    kind: ClassVar[Kind | None] = "classification"
    paper: ClassVar[str] = "Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49"
    recommended: ClassVar[dict[str, object]] = {"model.blocks": 3}

    rotations: bool = True
    """Whether a digit in its four orientations makes four classes; without, validation
    and test have two classes each."""

    def open(self, split: Split) -> ImageSource:
        """24 classes to train on, 8 to validate, 8 to test."""
        bank = open_bank("digits", {"sklearn": version("scikit-learn")}, _build)
        members = [ImageClass(digit) for digit in DIGITS[split]]
        if self.rotations:
            members = with_rotations(members)
        return ImageSource(bank, tuple(members), encoder=ENCODER)


def _build() -> Iterator[tuple[str, Bytes]]:
    """The images, 0 to 16, as bytes."""
    # here, because it takes longer to import than all other plugins together
    from sklearn.datasets import load_digits

    data = load_digits()
    for digit in range(10):
        images = data.images[data.target == digit]
        yield str(digit), np.round(images * (255 / 16)).astype(np.uint8)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the digits."""
    register("digits", Digits)
