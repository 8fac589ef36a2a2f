"""A data set: points around the centres of their classes."""

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from metapipe import Dataset, Register, Split, hookimpl
from metapipe.data import ArraySource

CLASSES: dict[Split, range] = {
    "train": range(40),
    "val": range(40, 60),
    "test": range(60, 80),
}


class Blobs(Dataset):
    """Eighty classes of points in as many dimensions as you like."""

    dimensions: PositiveInt = 8
    """Numbers of a point."""

    spread: NonNegativeFloat = 0.5
    """Standard deviation of a class; centres have 1."""

    items: PositiveInt = 40
    """Points of each class."""

    def open(self, split: Split) -> ArraySource:
        """40 classes to train on, 20 to validate, 20 to test."""
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(80, 1, self.dimensions))
        noise = rng.normal(size=(80, self.items, self.dimensions))
        points = (centres + self.spread * noise).astype(np.float32)[CLASSES[split]]
        names = tuple(f"blob {number}" for number in CLASSES[split])
        starts = np.arange(len(names) + 1) * self.items
        return ArraySource(points.reshape(-1, self.dimensions), names, starts)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the data set."""
    register("blobs", Blobs)
