"""Settings that are searched, as Optuna's parameters, and who chooses them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..experiment.space import Choice, Domain, Range, Space
from ..experiment.sweep_settings import SweepSettings

STARTUP = 5
"""Trials that are never pruned, and against which others are judged."""


def sampler(settings: SweepSettings, seed: int) -> Any:
    """What chooses the next trial."""
    from optuna.samplers import RandomSampler, TPESampler

    if settings.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, constant_liar=True)  # others are at work meanwhile


def pruner(settings: SweepSettings) -> Any:
    """What says which trials are stopped."""
    from optuna.pruners import MedianPruner, NopPruner

    return NopPruner() if settings.pruner == "none" else MedianPruner(STARTUP)


def distributions(space: Space) -> dict[str, Any]:
    """What each parameter may be."""
    return {name: _distribution(domain) for name, domain in space.items()}


def _distribution(domain: Domain) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(domain, Choice):
        return CategoricalDistribution([parameter(v) for v in domain.values])
    if domain.whole:
        step = 1 if domain.step is None else int(domain.step)
        return IntDistribution(int(domain.low), int(domain.high), domain.log, step)
    return FloatDistribution(domain.low, domain.high, domain.log, domain.step)


def parameter(value: Any) -> Any:
    """A value as Optuna keeps it: what is no plain one as text."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else json.dumps(value)


def parameters(place: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Values of settings as parameters."""
    chosen = {name: isinstance(domain, Range) for name, domain in space.items()}
    return {n: v if chosen[n] else parameter(v) for n, v in place.items()}


def values(given: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The settings that parameters mean."""
    found = {}
    for name, domain in space.items():
        value = given[name]
        if isinstance(domain, Choice):
            value = next(v for v in domain.values if parameter(v) == value)
        found[name] = value
    return found
