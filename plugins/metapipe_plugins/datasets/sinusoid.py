"""Sinusoid regression: y = A sin(x - p), as in section 5.1 of Finn et al. 2017.

A task is a wave; its support set is `shots` random points. Best without adapting is
-1.623 cos x, with a mean squared error of 3.0057: whoever does not beat that has not
adapted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from metapipe import (
    Dataset,
    Episodes,
    Kind,
    Register,
    Samples,
    Source,
    SourceFacts,
    Split,
    Task,
    hookimpl,
)
from metapipe.data import keys, require_one_way, uniform
from metapipe_plugins.parts.data.intervals import Interval

Numbers = NDArray[np.float64]


class Sinusoid(Dataset):
    """Waves of random amplitude and phase, without noise."""

    kind: ClassVar[Kind | None] = "regression"
    paper: ClassVar[str] = (
        "Finn, Abbeel & Levine, ICML 2017, https://arxiv.org/abs/1703.03400, sec. 5.1"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "task.ways": 1,
        "task.shots": 10,
        "task.queries": 10,
        "training.tasks": 25,
        "training.iterations": 10000,
    }
    recommended_with: ClassVar[dict[str, dict[str, object]]] = {
        **{
            name: {"algorithm.inner_lr": 0.01}
            for name in ("maml", "maml++", "anil", "imaml")
        },
        "meta-sgd": {"algorithm.initial_rate": 0.01},
        "reptile": {
            "algorithm.inner_lr": 0.01,
            "algorithm.inner_steps": 10,
            "algorithm.inner_batch": 10,
            "algorithm.test_steps": 20,
            "algorithm.test_batch": 10,
            "evaluation.shots": 10,
            "evaluation.queries": 10,
        },
    }

    amplitude: Interval = (0.1, 5.0)
    """Least and greatest amplitude A."""

    phase: Interval = (0.0, float(np.pi))
    """Least and greatest phase p."""

    x: Interval = (-5.0, 5.0)
    """Ends of the interval that points come from."""

    query: Literal["random", "grid"] = "random"
    """Query points of evaluation: random, or evenly spaced from end to end; training
    points are always random."""

    def open(self, split: Split) -> Source:
        """The splits draw from one distribution and never share a task."""
        return Waves(self, split)


@dataclass(frozen=True)
class Waves(Source):
    """Tasks of the sinusoid."""

    settings: Sinusoid
    split: Split

    @property
    def facts(self) -> SourceFacts:
        """One number in, one number out; the fingerprint is of the distribution."""
        text = f"{self.split} {self.settings.model_dump_json()}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return SourceFacts("regression", (1,), fingerprint, outputs=1)

    def check(self, task: Task) -> None:
        """Regression has one way."""
        require_one_way(task)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """x and y: support (T, shots, 1), query (T, queries, 1)."""
        key, first = keys(tasks), tasks[0]
        amplitude = self._between(self.settings.amplitude, uniform(key, "amplitude", 1))
        phase = self._between(self.settings.phase, uniform(key, "phase", 1))

        def samples(x: Numbers) -> Samples:
            y = amplitude * np.sin(x - phase)
            return Samples(*(torch.from_numpy(v[..., None]).float() for v in (x, y)))

        support = uniform(key, "support", first.shots)
        query = uniform(key, "query", first.queries)
        if self.settings.query == "grid" and self.split != "train":
            query = np.broadcast_to(np.linspace(0, 1, first.queries), query.shape)
        return Episodes(
            tuple(tasks),
            samples(self._between(self.settings.x, support)),
            samples(self._between(self.settings.x, query)),
        )

    def _between(self, ends: tuple[float, float], share: Numbers) -> Numbers:
        low, high = ends
        return low + (high - low) * share


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the sinusoid."""
    register("sinusoid", Sinusoid)
