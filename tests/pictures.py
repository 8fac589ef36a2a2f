"""Small pictures in folders, for the tests of everything that reads them."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB"):
    """Noise that is the same for the same seed."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def write_classes(root: Path, classes: dict[str, int], suffix: str = ".png") -> Path:
    """`root/CLASS/N.png`: so many pictures of each class."""
    seed = 0
    for name, count in classes.items():
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(count):
            picture(seed).save(folder / f"{number}{suffix}")
            seed += 1
    return root
