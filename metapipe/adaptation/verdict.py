"""What is said of a new thing, and of what to expect of a model, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..printable import how_many

if TYPE_CHECKING:
    from .estimate import Estimate

STRANGE = 0.1
"""Typicality up to which a thing is perhaps none of these: that of one in ten of the
own."""

NAMED = 3
"""Classes of a set that are named."""


def verdict(row: Mapping[str, Any]) -> str:
    """What is said of a thing: its class and a confidence; its set, where one class is
    not enough; or that it is perhaps none of these. `row` is one of `predictions`."""
    label, named = row["label"], row["probabilities"]
    ranked = sorted(named, key=lambda name: -named[name])
    if is_strange(row):
        return f"none of these? (nearest: {label})"
    if not row["calibrated"]:
        return f"{label} (before {', '.join(ranked[1:NAMED])}; no confidence is known)"
    held = row["set"]
    if held is None:
        return "  ".join(f"{name} {100 * named[name]:.0f} %" for name in ranked[:NAMED])
    if len(held) == 1:
        return f"{label} {100 * named[label]:.0f} %"
    shown = held[:NAMED]
    shares = ", ".join(f"{100 * named[name]:.0f} %" for name in shown)
    if (others := len(held) - NAMED) > 0:
        shown = [*shown, how_many(others, "other")]
    return f"{', '.join(shown[:-1])} or {shown[-1]} ({shares})"


def is_strange(row: Mapping[str, Any]) -> bool:
    """Whether it is so little like any class that it is perhaps of none."""
    return row["typical"] is not None and bool(row["typical"] <= STRANGE)


def expectation(estimate: Estimate) -> str:
    """The accuracy to expect, and from what that is known."""
    return (
        f"expected accuracy  {100 * estimate.accuracy:.0f} % (95 % interval "
        f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f} %), from your own "
        f"{estimate.count} examples, each held out once"
    )
