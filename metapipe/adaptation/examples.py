"""Labelled examples of one task, as inputs, and which items they were made from."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..data.class_episodes import digest
from ..data.passed_over import first_few
from ..episode import Samples
from ..errors import DataError
from ..printable import how_many

logger = logging.getLogger("metapipe")


class Item(NamedTuple):
    """What an example was made from."""

    name: str
    """CLASS/NAME of a file in its folder, or TABLE:ROW."""

    sha256: str
    """Of its content."""


@dataclass(frozen=True)
class Examples:
    """Labelled examples of one task, as inputs."""

    samples: Samples
    classes: tuple[str, ...]
    """Names by label; empty for regression."""

    names: tuple[str, ...]
    """Where each of them stands, for messages."""

    items: tuple[Item, ...]
    """What each of them was made from."""

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each class."""
        sizes = torch.bincount(self.samples.targets, minlength=len(self.classes))
        return dict(zip(self.classes, sizes.tolist(), strict=True))

    def only(self, places: Sequence[int]) -> Examples:
        """Those at these places, of the same classes."""
        index = torch.tensor(places, dtype=torch.long)
        return Examples(
            Samples(*(tensor[index] for tensor in self.samples)),
            self.classes,
            tuple(self.names[place] for place in places),
            tuple(self.items[place] for place in places),
        )


def each_once(examples: Examples) -> Examples:
    """The examples without those that are another one of their class again, which is
    told. Raises DataError for one that is in several classes, with both names."""
    labels = examples.samples.targets.tolist()
    groups = _alike(examples)
    across = [group for group in groups if len({labels[n] for n in group}) > 1]
    if across:
        raise DataError(
            f"{how_many(len(across), 'example', 'are')} in several classes: "
            f"{_named(examples, across)}: which class is it? Remove the other"
        )
    again = [group for group in groups if len(group) > 1]
    if not again:
        return examples
    text = "%s there more than once, and counted once: %s"
    logger.warning(
        text, how_many(len(again), "example", "are"), _named(examples, again)
    )
    return examples.only(sorted(group[0] for group in groups))


def _alike(examples: Examples) -> list[list[int]]:
    """Places of examples with one content, or of which one input was made."""
    first: dict[bytes | str, int] = {}
    groups: dict[int, list[int]] = defaultdict(list)
    inputs = examples.samples.inputs.cpu()
    for place, (item, made) in enumerate(zip(examples.items, inputs, strict=True)):
        keys = (item.sha256, digest(made.numpy()))
        known = [first[key] for key in keys if key in first]
        group = known[0] if known else place
        for key in keys:
            first.setdefault(key, group)
        groups[group].append(place)
    return list(groups.values())


def _named(examples: Examples, groups: Sequence[Sequence[int]]) -> str:
    names = (dict.fromkeys(examples.names[n] for n in group) for group in groups)
    return first_few([" = ".join(each) for each in names])
