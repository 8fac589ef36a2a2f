"""Rows for tests of the store."""

import os
import socket

from metapipe import EpisodeRecord, Task
from metapipe.store.records import NewEvaluation, NewRun

RUN = NewRun(
    name=None,
    algorithm="maml",
    model="conv4",
    dataset="glyphs",
    seed=3,
    ways=5,
    shots=1,
    queries=15,
    iterations=100,
    config={"training": {"lr": 0.01, "schedule": "cosine"}, "run": {"name": None}},
    plugins={"maml": "metapipe 0.1.0"},
    environment={"python": "3.11"},
    git_commit="abc",
    git_dirty=False,
    device="cpu",
    mapping=None,
    parent_id=None,
    directory="/somewhere",
    host=socket.gethostname(),
    pid=os.getpid(),
)


EVALUATION = NewEvaluation(
    purpose="test",
    dataset="other",
    fingerprint="f",
    split="test",
    seed=9,
    ways=5,
    shots=1,
    queries=15,
    step=100,
    checkpoint="sha",
    settings={},
    prediction="together",
    statistics="batch",
    transductive=True,
    loss=0.5,
    loss_ci95=0.01,
    loss_before=1.6,
    accuracy=0.8,
    accuracy_ci95=0.02,
    accuracy_before=0.2,
    seconds=1.0,
)


def episodes(count: int, step: int = 10, split: str = "test") -> list[EpisodeRecord]:
    return [
        EpisodeRecord(
            task=Task("other", split, 9, index, 5, 1, 15),
            step=step,
            loss=index / 10,
            accuracy=1 - index / 100,
        )
        for index in range(count)
    ]
