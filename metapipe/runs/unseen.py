"""Whether what a run is tested on was trained on: by name, and by content."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from ..dataset import Source
from ..errors import DataError

SHARED_CLASSES, SHARED_ITEMS = "shared_classes", "shared_items"
FINDINGS = (SHARED_CLASSES, SHARED_ITEMS)
"""Names of what is kept with the settings of an evaluation and is none: how many
classes (or groups) and items of another data set the run may know."""

SLIP = 0.05
"""Share of a class's items that may be in a training class too by a slip in the data,
or by chance; a class with more was trained on."""

logger = logging.getLogger("metapipe")


def names_of(source: Source) -> Sequence[str]:
    """Of what a split's tasks are made of: its classes, or its groups."""
    return [*source.facts.classes, *source.facts.groups]


def require_unseen(trained_on: Collection[str], source: Source, name: str) -> None:
    """Raise DataError if classes of a split to be tested on were trained on.

    `trained_on` are classes or groups of the same data set: a name says which it is.
    """
    if known := _known(trained_on, source):
        raise DataError(
            f"{len(known)} of the {_all(source)} of {name} were trained on, such as "
            f"'{known[0]}': the data or the way to split them have changed since the "
            "run; split by lists, or use another data set"
        )


def shared_names(
    trained_on: Collection[str], source: Source, name: str
) -> dict[str, int]:
    """How many classes of another data set are called as some that were trained on.

    A name alone may be a coincidence ("0", "rose"): it is told, and no error.
    """
    known = _known(trained_on, source)
    if not known:
        return {}
    logger.warning(
        "%d of the %s of %s are called as some that were trained on, such as '%s': if "
        "they are the same things, they are not new to the run",
        len(known),
        _all(source),
        name,
        known[0],
    )
    return {SHARED_CLASSES: len(known)}


def shared_items(trained: Source, source: Source, name: str) -> dict[str, int]:
    """How many items of another data set were trained on, whatever their names.

    Raises DataError if they are so many of a class that it was trained on.
    """
    if trained.facts.shape != source.facts.shape:
        logger.info("%s: items of another shape were compared by name only", name)
        return {}
    owners = dict(trained.digests())
    sizes: Counter[str] = Counter()
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key, label in source.digests():
        sizes[label] += 1
        if key in owners:
            found[label].append(owners[key])
    if not found:
        return {}
    worst = max(found, key=lambda label: len(found[label]) / sizes[label])
    shared, count = len(found[worst]), sum(map(len, found.values()))
    told = (
        f"{count} items of {name}, in {len(found)} of its {_all(source)}, were trained "
        f"on: of '{worst}' {shared} of {sizes[worst]}, as '{found[worst][0]}'"
    )
    if shared > SLIP * sizes[worst]:
        raise DataError(f"{told}; use a data set, or a split, that is new to the run")
    logger.warning("%s", told)
    return {SHARED_ITEMS: count}


def _known(trained_on: Collection[str], source: Source) -> list[str]:
    return sorted(set(trained_on) & set(names_of(source)))


def _all(source: Source) -> str:
    noun = "classes" if source.facts.classes else "groups"
    return f"{len(names_of(source))} {noun}"
