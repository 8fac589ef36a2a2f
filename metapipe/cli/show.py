"""`metapipe show`: the card of a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .options import json_option
from .output import echo, print_facts, print_json

if TYPE_CHECKING:
    from ..adaptation.card import BackboneFacts, Card, Judged

BY = {
    "support": "what it learned from, which is no test",
    "query": "queries",
    "held-out": "its own examples, each held out once",
}
"""Words for what a model was judged by."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show what a file tells of itself: classes, origin, licence, how good it is.

    FILE is what 'metapipe adapt --out' or 'metapipe export' wrote, or a checkpoint of
    a run. Runs are shown by 'metapipe runs show RUN'.
    """
    from ..adaptation.card import read_card

    if not file.exists() and not file.suffix:
        raise UsageError(
            f"show takes a file, and there is no '{file}': a run is shown by "
            f"'metapipe runs show {file}'"
        )
    card = read_card(file)
    if as_json:
        print_json(card if isinstance(card, dict) else card.model_dump(mode="json"))
    elif isinstance(card, dict):
        classes = card["trained_on"]
        count = None if classes is None else f"{len(classes)} classes"
        print_facts({**card, "trained_on": count}.items())
    else:
        print_facts(_facts(card))
        for number, text in enumerate(card.not_for):
            echo(f"{'' if number else 'not for':<10}{text}")


def _facts(card: Card) -> list[tuple[str, Any]]:
    """Names and values for people; what is not told is left out."""
    counts = [
        name if count is None else f"{name} {count}"
        for name, count in card.classes.items()
    ]
    head = f"{card.algorithm} on {card.model}"
    return [
        ("classes", ", ".join(counts) or None),
        ("created", card.created),
        ("metapipe", card.metapipe),
        ("learned", f"by {card.learned_by}: {head}"),
        ("takes", card.takes),
        ("backbone", card.backbone and _backbone(card.backbone)),
        ("judged", card.judged and _judged(card.judged)),
        ("settings", _settings(card.settings)),
        ("plugins", ", ".join(f"{k} ({v})" for k, v in card.plugins.items())),
    ]


def _backbone(backbone: BackboneFacts) -> str:
    where = "carried by this file" if backbone.carried else "has to be installed"
    return (
        f"{backbone.name}, {where}; licence: {backbone.licence or 'not told'}; "
        f"from: {backbone.source or 'not told'}; sha256 {backbone.sha256}"
    )


def _judged(judged: Judged) -> str:
    by = BY.get(judged.by, judged.by)
    if judged.accuracy is None:
        return f"loss {judged.loss or 0:.4g} on {judged.count}, by {by}"
    text = f"{100 * judged.accuracy:.1f} % of {judged.count}"
    if judged.low is not None and judged.high is not None:
        low, high = 100 * judged.low, 100 * judged.high
        text += f" (95 % interval {low:.1f} to {high:.1f} %)"
    return f"{text}, by {by}"


def _settings(settings: Mapping[str, Mapping[str, Any]]) -> str:
    return "  ".join(
        f"{table}.{name}={value}"
        for table, values in settings.items()
        for name, value in values.items()
    )
