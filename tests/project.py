"""A project of short runs, with the pictures that the pages speak of."""

import runpy
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]

QUICK = """
[training]
iterations = 12
tasks = 2
log_every = 2
validate_every = 6
validation_episodes = 10
mapping = "loop"
[evaluation]
episodes = 20
[model.conv4]
width = 8
blocks = 2
[model.ngrams]
buckets = 1000
"""


def make_project() -> None:
    """In the working directory: `metapipe.toml`, folders `shots` and `more` with a
    folder a class, `photos` and three single pictures."""
    Path("metapipe.toml").write_text(QUICK)
    runpy.run_path(str(ROOT / "docs" / "tutorial" / "shapes.py"))
    shutil.copytree("shots/circle", "photos")
    names = ("tabby1.jpg", "siamese1.jpg", "new.jpg")
    for name, path in zip(names, sorted(Path("photos").iterdir()), strict=True):
        shutil.copy(path, name)
