"""How far what a learner says can be trusted, told from its own examples alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ..episode import Samples
from .calibration import temperature
from .estimate import Estimate, estimate
from .held_out import HeldOut, Learn, held_out
from .typicality import Typicality, typicality

ODDS = 20.0
"""How much likelier than its label another class is, where that is called in question.
"""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Suspect:
    """An example that is perhaps mislabelled."""

    place: Annotated[int, Field(ge=0)]
    """Which one of the support set."""

    taken_for: Annotated[int, Field(ge=0)]
    """The class that it was said to be when it was held out."""

    confidence: Share
    """With which."""


@dataclass(frozen=True)
class Trust:
    """What held-out examples tell. All of it holds for new things like them: from the
    same place, camera and people."""

    estimate: Estimate
    temperature: Positive
    """What logits are divided by, so that their softmax is a confidence."""

    right: Tensor
    """(n,), float64: confidence in the right class of each held-out example."""

    suspects: tuple[Suspect, ...]
    """The surest first."""

    typicality: Typicality | None
    """None if there are too few classes or examples, or no features to compare."""


def trust(
    samples: Samples, learn: Learn, features: Callable[[Tensor], Tensor | None]
) -> Trust | None:
    """From the examples of a task, what learns one, and what makes features (n, d) of
    inputs, if anything does; None if every class has a single example.

    It is learned anew for each fold, ten times at the most.
    """
    held = held_out(samples, learn)
    if held is None:
        return None
    found = temperature(held.outputs, held.labels)
    confidences = (held.outputs / found).softmax(-1)
    vectors = features(samples.inputs)
    return Trust(
        estimate=estimate(held),
        temperature=found,
        right=confidences.gather(1, held.labels[:, None])[:, 0],
        suspects=_suspects(held, confidences),
        typicality=None if vectors is None else typicality(vectors, samples.targets),
    )


def _suspects(held: HeldOut, confidences: Tensor) -> tuple[Suspect, ...]:
    most = confidences.max(-1)
    own = confidences.gather(1, held.labels[:, None])[:, 0]
    places = (most.values >= ODDS * own).nonzero().flatten()
    found = [
        Suspect(int(held.places[n]), int(most.indices[n]), float(most.values[n]))
        for n in places
    ]
    return tuple(sorted(found, key=lambda suspect: -suspect.confidence))
