"""Which of two runs is better, on the very same episodes.

Episodes are hard or easy for all learners alike, so that the difference on one episode
varies less than either figure: its mean over episodes is surer than both means are. The
interval is Student's. It is one of episodes: other seeds may give other runs.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..settings import SUPPORT
from ..store import StoreReader
from ..store.records import EvaluationRow, Met, RunRow
from ..store.student import half_width, t95

SHAPE = ("ways", "ways_to", "shots", "shots_to", "queries")
RECIPE = ("dataset", "fingerprint", "split", "seed", *SHAPE)
"""What two evaluations agree in whose episodes are the same."""

MOST = 10**7
"""From so many episodes on Student's interval is the normal one."""


@dataclass(frozen=True)
class Paired:
    """Two runs on the same episodes."""

    runs: tuple[int, int]
    evaluations: tuple[EvaluationRow, EvaluationRow]
    figure: str
    """accuracy, loss where there are no classes, or return of control."""

    episodes: int
    means: tuple[float, float]
    difference: float
    """Of the first run's mean and the second's."""

    deviation: float
    """Standard deviation of the difference from one episode to the next."""

    ci95: float
    """Half the width of the 95 % interval of the difference."""

    better: int | None
    """The run that is better, if the interval says so."""

    settled_by: int | None
    """So many episodes make the interval tell them apart, if difference and deviation
    stay as they are; None if there is no difference."""


def paired(store: StoreReader, rows: Sequence[RunRow]) -> Paired:
    """Compare the newest tests of two runs that are of the same episodes.

    Raises UsageError if there are none, with the command that makes them.
    """
    if len({row.id for row in rows}) != 2:
        raise UsageError(f"--paired compares two runs, not {len({r.id for r in rows})}")
    one, other = rows
    first, second = _same_episodes(store, one, other)
    met = store.pairs(first.id, second.id)
    if len(met) < 2:
        raise UsageError(
            f"evaluations {first.id} and {second.id} share {len(met)} episodes: at "
            f"least two are wanted; {_remedy(first, other)}"
        )
    figure, values = _figures(met, acts=one.controls)
    differences = [a - b for a, b in values]
    mean = math.fsum(differences) / len(met)
    squares = math.fsum((d - mean) ** 2 for d in differences)
    ci95 = half_width(len(met), squares) or 0.0
    deviation = math.sqrt(squares / (len(met) - 1))
    ahead = (one if (mean > 0) == (figure != "loss") else other).id
    return Paired(
        (one.id, other.id),
        (first, second),
        figure,
        len(met),
        (_mean([a for a, _ in values]), _mean([b for _, b in values])),
        mean,
        deviation,
        ci95,
        ahead if abs(mean) > ci95 else None,
        episodes_needed(mean, deviation),
    )


def episodes_needed(difference: float, deviation: float) -> int | None:
    """The fewest episodes whose 95 % interval of this mean difference, with this
    deviation, leaves out 0."""
    if difference == 0:
        return None
    if deviation == 0:
        return 2
    ratio = deviation / abs(difference)
    count = max(2, math.ceil((1.9599 * ratio) ** 2))
    while count < MOST and t95(count) * ratio / math.sqrt(count) >= 1:
        count += 1
    return count


def _figures(
    met: Sequence[Met], *, acts: bool
) -> tuple[str, list[tuple[float, float]]]:
    if acts:
        return "return", [(-a, -b) for a, b in (each.losses for each in met)]
    accuracies = [each.accuracies for each in met if each.accuracies is not None]
    if len(accuracies) == len(met):
        return "accuracy", accuracies
    return "loss", [each.losses for each in met]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _same_episodes(
    store: StoreReader, one: RunRow, other: RunRow
) -> tuple[EvaluationRow, EvaluationRow]:
    """The newest tests whose episodes are the same; of equals those whose queries were
    predicted in the same way."""
    ours, theirs = (_tests(store, row) for row in (one, other))
    pairs = [
        (a, b)
        for a in ours
        for b in theirs
        if all(getattr(a, name) == getattr(b, name) for name in RECIPE)
    ]
    alike = [(a, b) for a, b in pairs if a.prediction == b.prediction]
    if found := alike or pairs:
        return found[0]
    if not ours or not theirs:
        untested, tested = (one, theirs) if not ours else (other, ours)
        remedy = (
            _remedy(tested[0], untested)
            if tested
            else f"metapipe evaluate {one.id}; metapipe evaluate {other.id}"
        )
        raise UsageError(f"run {untested.id} was never tested: {remedy}")
    a, b = ours[0], theirs[0]
    differing = [name for name in RECIPE if getattr(a, name) != getattr(b, name)]
    told = ", ".join(
        f"{name} {_short(getattr(a, name))} and {_short(getattr(b, name))}"
        for name in differing
    )
    remedy = _remedy(a, other)
    if "fingerprint" in differing and "dataset" not in differing:
        remedy = f"the data are others; {_remedy(a, one)}, then {remedy}"
    raise UsageError(
        f"runs {one.id} and {other.id} were not tested on the same episodes ({told}): "
        f"{remedy}"
    )


def _tests(store: StoreReader, row: RunRow) -> list[EvaluationRow]:
    """Newest first."""
    tests = [e for e in store.evaluations(row.id) if e.purpose == "test"]
    return tests[::-1]


def _remedy(like: EvaluationRow, run: RunRow) -> str:
    """The command that tests a run on the episodes of an evaluation."""
    words = ["metapipe", "evaluate", str(run.id)]
    if run.dataset != like.dataset:
        words += ["--dataset", like.dataset]
    for name in ("split", "seed", *SHAPE, "episodes", "prediction"):
        if (value := getattr(like, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if SUPPORT in like.settings:
        words += ["--support", str(like.settings[SUPPORT])]
    for name, value in like.settings.items():
        if name.startswith("dataset."):
            words += ["-s", f"{name}={value}"]
    return shlex.join(words)


def _short(value: object) -> str:
    return str(value)[:12]
