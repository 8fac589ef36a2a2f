"""A stretch of training: iterations whose figures are recorded together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from ..episode import Task
from ..events import EpisodeRecord
from ..training.evaluation import episode_records
from ..training.loop import Iteration


@dataclass(frozen=True)
class Stretch:
    """What is recorded of it."""

    since: int
    """Meta-iterations done before it: up to there all is recorded."""

    step: int
    """Meta-iterations done with it."""

    figures: Mapping[str, float]
    episodes: Sequence[EpisodeRecord]

    @classmethod
    def of(cls, window: Sequence[Iteration], seconds: float, kept: str) -> Self:
        """Mean figures of iterations that took so many seconds, and those episodes that
        are kept: none, those of the last (sampled), or all."""
        last = window[-1]
        figures: dict[str, float] = {
            name: sum(float(it.metrics[name].mean()) for it in window) / len(window)
            for name in last.metrics
            if all(name in it.metrics for it in window) and last.metrics[name].ndim == 1
        }
        figures["grad_norm"] = sum(it.grad_norm for it in window) / len(window)
        figures["lr"] = last.lr
        figures["episodes_per_second"] = sum(len(it.tasks) for it in window) / seconds
        chosen = {"none": [], "sampled": [last], "all": window}[kept]
        episodes = [record for it in chosen for record in _records(it)]
        return cls(last.step - len(window), last.step, figures, episodes)

    def to_json(self) -> dict[str, Any]:
        """For the header of a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` made; raises LookupError, TypeError for anything else."""
        episodes = [
            EpisodeRecord(**{**each, "task": Task(**each["task"])})
            for each in kept["episodes"]
        ]
        return cls(int(kept["since"]), int(kept["step"]), kept["figures"], episodes)


def _records(iteration: Iteration) -> Iterator[EpisodeRecord]:
    """The episodes of an iteration."""
    yield from episode_records(iteration.tasks, iteration.step, iteration.metrics)
