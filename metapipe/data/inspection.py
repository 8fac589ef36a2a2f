"""What is wrong with a data set: items that are in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..dataset import Source
    from ..problem import Split


def items_in_two_splits(sources: Mapping[Split, Source]) -> list[list[str]]:
    """Items whose content is in more than one split, as `split/class` each."""
    places: dict[bytes, set[str]] = defaultdict(set)
    splits: dict[bytes, set[str]] = defaultdict(set)
    for split, source in sources.items():
        for key, label in source.digests():
            places[key].add(f"{split}/{label}")
            splits[key].add(split)
    return sorted(
        sorted(places[key]) for key, found in splits.items() if len(found) > 1
    )
