"""Every data set of ours draws the same episodes in every process, in any order."""

import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest
from episode_digests import digests
from shared import DATA, needs_data

from metapipe import Dataset
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


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: type(d).__name__)
def test_another_process_draws_the_same_episodes(dataset: Dataset) -> None:
    ways = 1 if isinstance(dataset, Sinusoid) else 3
    recipes = tasks("x", "val", 9, 3, 4, ways, 1, 4)
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from episode_digests import digests
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
