"""Every data set of ours draws the same episodes in every process, in any order."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import pytest
from shared import DATA, needs_data

from metapipe import Dataset, Task
from metapipe.data.sampling import tasks
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.datasets.glyphs import Glyphs
from metapipe_plugins.datasets.omniglot import Omniglot
from metapipe_plugins.datasets.sinusoid import Sinusoid

DATASETS = [
    Digits(),
    Glyphs(),
    pytest.param(Omniglot(root=DATA / "omniglot.zip"), marks=needs_data),
    Sinusoid(),
]


def digests(dataset: Dataset, recipes: Sequence[Task]) -> list[str]:
    """What each episode is, drawn in one call."""
    drawn = dataset.open("val").draw(recipes)
    tensors = [*drawn.support, *drawn.query]
    return [
        hashlib.sha256(b"".join(t[n].numpy().tobytes() for t in tensors)).hexdigest()
        for n in range(len(recipes))
    ]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: type(d).__name__)
def test_another_process_draws_the_same_episodes(dataset: Dataset) -> None:
    ways = 1 if isinstance(dataset, Sinusoid) else 3
    recipes = tasks("x", "val", 9, 3, 4, ways, 1, 4)
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from test_datasets import digests
from metapipe import Task
from {type(dataset).__module__} import {type(dataset).__name__} as D
settings = {dataset.model_dump_json()!r}
recipes = {[astuple(recipe) for recipe in recipes[::-1]]!r}
print(*digests(D.model_validate_json(settings), [Task(*r) for r in recipes]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    alone = [digests(dataset, [recipe])[0] for recipe in recipes]
    assert done.stdout.split()[::-1] == alone
    assert len(set(alone)) == len(alone), "another index, another episode"
