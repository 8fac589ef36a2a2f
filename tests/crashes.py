"""Runs that are killed, and what they have to end as."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from commands import TINY

from metapipe.store import TaskStore
from metapipe.training.checkpoint import load

KILLER = Path(__file__).parent / "files" / "killer.py"

ITERATIONS, TASKS = 40, 4
TRAINING = (
    *("train", *TINY, "--iterations", str(ITERATIONS), "--checkpoint-every", "7"),
    *("--validate-every", "10", "--store-episodes", "all", "--log-every", "5"),
    *("--schedule", "cosine", "-s", "training.clip=0.3"),
)
"""A training of a second in which figures, validations and checkpoints fall on other
iterations; a norm that is rounded otherwise changes all parameters."""

OF_TIME = {"episodes_per_second"}
"""Figures that two runs never share."""


def ended(url: str, run_id: int = 1) -> dict[str, Any]:
    """All that a run left, but for times, ids and places."""
    with TaskStore.open(url) as store:
        row = store.run(run_id)
        rows = store.checkpoints(run_id)
        left = {Path(each.path) for each in rows}
        found = set(Path(row.directory).iterdir())
        assert found == left, "other files than those that the store names"
        evaluations = store.evaluations(run_id)
        episodes = store.episodes(run_id, limit=None)
        number = {each.id: place for place, each in enumerate(evaluations)}
        return {
            "run": (row.status, row.step, row.accuracy, row.loss, row.val_accuracy),
            "metrics": without_time(row.metrics),
            "curve": [
                (m.name, m.step, m.value)
                for m in store.metrics(run_id)
                if m.name not in OF_TIME
            ],
            "evaluations": [
                {
                    name: value
                    for name, value in asdict(each).items()
                    if name not in ("id", "run_id", "created", "seconds", "checkpoint")
                }
                for each in evaluations
            ],
            "episodes": sorted(
                (
                    -1 if e.evaluation_id is None else number[e.evaluation_id],
                    *(e.step, e.task.index, e.task.seed),
                    *(e.loss, e.accuracy, e.loss_before, e.accuracy_before),
                )
                for e in episodes
            ),
            "checkpoints": {c.which: (c.step, tensors(c.path, c.sha256)) for c in rows},
        }


def without_time(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Those that two runs may share."""
    return {name: value for name, value in metrics.items() if name not in OF_TIME}


def tensors(path: str, sha256: str) -> dict[str, list[Any]]:
    """What a checkpoint holds, bit for bit."""
    found = load(Path(path), sha256).file.tensors
    return {name: exact(tensor) for name, tensor in sorted(found.items())}


def exact(tensor: torch.Tensor) -> list[Any]:
    """Type, shape and bytes, as what can be compared."""
    return [str(tensor.dtype), [*tensor.shape], tensor.numpy().tobytes()]


def assert_same(whole: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Each part is equal; what is in one of them only is shown."""
    for name, part in whole.items():
        if found[name] != part:
            raise AssertionError(f"{name}: {differences(part, found[name])}"[:2000])


def differences(one: Any, other: Any) -> str:
    """What is in one of two only."""
    if isinstance(one, dict):
        one, other = list(one.items()), list(other.items())
    missing = [item for item in one if item not in other]
    more = [item for item in other if item not in one]
    return f"missing {missing}; more {more}; {len(one)} and {len(other)} in all"
