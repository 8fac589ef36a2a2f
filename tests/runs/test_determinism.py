"""Same seed, machine and settings: the same bits, by every algorithm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metapipe import Recurrent
from metapipe.experiment.registry import load

ALGORITHMS = [
    entry.name for entry in load().entries("algorithm") if entry.cls.needs_training
]
IN_WORLDS = [
    entry.name
    for entry in load().entries("algorithm")
    if entry.cls.kinds == frozenset({"control"})
]
"""What is defined for nothing but control."""

BY_GRADIENTS = [
    name
    for name in IN_WORLDS
    if not issubclass(load().entry("algorithm", name).cls, Recurrent)
]
"""Of those, what learns from episodes in a world before it is judged."""

TRAIN = """
import hashlib, json, sys
from pathlib import Path
import metapipe
from metapipe.training.checkpoint import load

folder, stop, in_worlds, by_gradients, *algorithms = sys.argv[1:]

class Stop:
    @metapipe.hookimpl
    def stop_run(self, run, step, metrics):
        return "asked" if step == int(stop) else None

def trained(algorithm):
    data = {"dataset": "digits", "ways": 3}
    if algorithm in in_worlds.split(","):
        data = {"dataset": "navigation2d"}
    settings = {
        "model.layers": [6], "training.chunk": 2, "training.log_every": 1,
        "evaluation.episodes": 2,
        **({} if "ways" in data else {"dataset.steps": 5}),
        **({"task.shots": 2} if algorithm in by_gradients.split(",") else {}),
        "training.mapping": "auto" if algorithm == "maml" else "threads",
    }
    where = {"project": folder, "progress": False}
    outcome = metapipe.train(
        plugin=algorithm, model="mlp", settings=settings, **data,
        queries=1, tasks=3, iterations=2, validate_every=0,
        observers=[Stop()], **where,
    )
    if outcome.status == "stopped":
        outcome = metapipe.resume(outcome.run_id, **where)
    assert outcome.status == "completed"
    (path,) = outcome.directory.glob("latest-*")
    digest = hashlib.sha256()
    for name, tensor in sorted(load(path).file.tensors.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return [digest.hexdigest(), outcome.evaluation.loss, outcome.mapping]

print(json.dumps({name: trained(name) for name in algorithms}))
"""


def in_a_process(folder: Path, stop: int = 0) -> dict[str, list]:
    """What each algorithm's training came to: hash of all tensors, loss and mapping."""
    folder.mkdir()
    (folder / "metapipe.toml").write_text("")
    done = subprocess.run(
        [
            *(sys.executable, "-c", TRAIN, str(folder), str(stop)),
            *(",".join(IN_WORLDS), ",".join(BY_GRADIENTS), *ALGORITHMS),
        ],
        env={**os.environ, "METAPIPE_CACHE": str(folder.parent / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory) -> tuple[dict[str, list], dict[str, list]]:
    """The same trainings in two processes: the first chooses how MAML's tasks are
    mapped, the second takes what was chosen, stops half way and resumes."""
    folder = tmp_path_factory.mktemp("determinism")
    return in_a_process(folder / "once"), in_a_process(folder / "again", stop=1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_training_gives_the_same_bits(trainings, algorithm) -> None:
    once, again = trainings
    assert again[algorithm] == once[algorithm]


def test_other_algorithms_come_to_other_ends(trainings) -> None:
    hashes = {digest for digest, _, _ in trainings[0].values()}
    assert len(hashes) > len(ALGORITHMS) // 2, "so equal ones say something"
