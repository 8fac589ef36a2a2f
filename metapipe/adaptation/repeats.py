"""Examples of a new task that are there more than once."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import NamedTuple

from ..data.class_episodes import digest
from ..data.passed_over import first_few
from ..printable import how_many
from .examples import Examples

logger = logging.getLogger("metapipe")


class Place(NamedTuple):
    """Where an example stands."""

    part: str
    """support or query."""

    label: int | None
    """None for a regression."""

    name: str


def tell_repeats(support: Examples, query: Examples | None) -> None:
    """Warn of examples that are the same to the learner: learned and asked for, under
    several classes, or twice."""
    found: dict[bytes, list[Place]] = defaultdict(list)
    parts = {"support": support} | ({} if query is None else {"query": query})
    for part, examples in parts.items():
        labels = examples.samples.targets.tolist() if examples.classes else None
        for number, (item, name) in enumerate(
            zip(examples.samples.inputs, examples.names, strict=True)
        ):
            label = None if labels is None else labels[number]
            found[digest(item.numpy())].append(Place(part, label, name))
    told: dict[str, list[str]] = defaultdict(list)
    for places in found.values():
        if len(places) > 1:
            names = dict.fromkeys(f"{place.part} {place.name}" for place in places)
            told[_kind(places)].append(" = ".join(names))
    for kind, all_of in told.items():
        many = how_many(len(all_of), "example", "are")
        logger.warning("%s %s: %s", many, kind, first_few(all_of))


def _kind(places: list[Place]) -> str:
    if len({place.label for place in places}) > 1:
        return "in several classes"
    if len({place.part for place in places}) > 1:
        return "in both support and query, which are no test then"
    return "there more than once"
