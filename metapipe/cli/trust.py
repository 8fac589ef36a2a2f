"""How far an adapted model can be trusted, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..adaptation.verdict import expectation

if TYPE_CHECKING:
    from ..adaptation.adapt_run import Adaptation
    from ..adaptation.estimate import Estimate

LINES = 20
"""Classes that get a line of their own, at the most; all are in --json."""

SUSPECTS = 10
"""Examples in question that are told of, likewise."""

SHARES = (
    (0.95, "nearly all strangers"),
    (0.85, "about 9 in 10 strangers"),
    (0.775, "about 4 in 5 strangers"),
    (0.71, "about 3 in 4 strangers"),
    (0.585, "about 2 in 3 strangers"),
    (0.415, "about half of strangers"),
    (0.29, "about 1 in 3 strangers"),
    (0.225, "about 1 in 4 strangers"),
    (0.15, "about 1 in 5 strangers"),
    (0.05, "about 1 in 10 strangers"),
    (0.0, "nearly no strangers"),
)
"""From which share on it is called so: for one task it is a rough figure."""


def told_of(found: Adaptation) -> Iterator[str]:
    """Lines about what to expect of a classifier."""
    trust = found.trust
    if trust is None:
        yield _no_estimate(found.counts)
        return
    estimate = trust.estimate
    yield expectation(estimate)
    if len(found.counts) <= LINES:
        yield from _classes(estimate, list(found.counts))
    if trust.typicality is not None:
        share = trust.typicality.strangers.told
        words = next(words for least, words in SHARES if share >= least)
        own = "1 in 10 of your own is taken for one"
        yield f"none of these      {words} are told, and {own}"
    for suspect in found.mislabelled[:SUSPECTS]:
        yield (
            f"perhaps mislabelled  {suspect.name} "
            f"({100 * suspect.confidence:.0f} % {suspect.taken_for})"
        )
    if (more := len(found.mislabelled) - SUSPECTS) > 0:
        yield f"perhaps mislabelled  {more} more: --json has all"


def _no_estimate(counts: Mapping[str, int]) -> str:
    if max(counts.values()) < 2:
        return (
            "no estimate: one example a class, and none can be held out; give two or "
            "more of each, or others with --query"
        )
    return "no estimate: this method does not learn from fewer examples; give --query"


def _classes(estimate: Estimate, names: Sequence[str]) -> Iterator[str]:
    """How often each class was right, and what it was taken for."""
    width = max(map(len, names))
    for label, (name, row) in enumerate(zip(names, estimate.confusion, strict=True)):
        held_out = sum(row)
        if not held_out:
            yield f"  {name:{width}}  no estimate: it has one example"
            continue
        wrong = sorted(
            (-count, other)
            for other, count in enumerate(row)
            if other != label and count
        )
        taken = ", ".join(f"{-count} taken for {names[to]}" for count, to in wrong)
        share = 100 * row[label] / held_out
        yield f"  {name:{width}}  {share:3.0f} %  {taken}".rstrip()
