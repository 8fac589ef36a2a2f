"""Which task maps a training chooses from."""

from dataclasses import replace

import pytest
import torch

from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.runs import mapping
from metapipe.runs.preparation import prepare
from metapipe.runs.recipes import draw_meta_batch
from metapipe.training.loop import initial_state

REGISTRY = load()


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [
        ("protonet", "loop threads:2"),
        ("maml", "loop vmap threads:2 chunked-threads:2x8"),
    ],
)
def test_only_what_makes_a_difference_is_timed(
    monkeypatch, tmp_path, algorithm, names
) -> None:
    """protonet embeds a whole meta-batch in one call: nothing is mapped."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    timed = []

    def choose(learner, state, maps, draw):
        timed.extend(maps)
        return maps[-1]

    monkeypatch.setattr(mapping, "choose_mapping", choose)
    tables = {
        "run": {"algorithm": algorithm, "model": "mlp", "dataset": "digits"},
        "task": {"ways": 3, "queries": 2},
        "training": {"tasks": 4, "iterations": 1, "validate_every": 0},
        "evaluation": {"episodes": 2, "split": "val"},
    }
    ready = prepare(Experiment.from_dict(tables, REGISTRY))
    state = initial_state(ready.meta, ready.experiment.training)

    def draw(iteration):
        source = ready.sources["train"]
        return draw_meta_batch(
            ready.experiment, ready.learner, ready.meta, source, iteration
        )

    learner = replace(ready.learner, device="cpu")
    best = mapping.mapping_for(ready.experiment, learner, state, draw)
    assert " ".join(map(str, timed)) == names
    assert best == timed[-1]
