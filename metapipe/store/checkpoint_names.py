"""What the checkpoints of a run are called."""

LATEST = "latest"

ENSEMBLE = "ensemble"
"""Name, with the settings of an evaluation, of the steps of the checkpoints whose mean
was judged."""


def best_name(place: int) -> str:
    """Of the best by validation, place 0, and of those after it: best, best-2, ..."""
    return f"best-{place + 1}" if place else "best"


def in_order(which: str) -> tuple[bool, int, str]:
    """The best first, then those after it, then the latest, if sorted by this."""
    return which == LATEST, len(which), which
