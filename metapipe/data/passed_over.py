"""What a reader of files passed over, told in one line."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .file import Parts
from .names import readable_name

SHOWN = 5
"""How many things a message names."""

OTHER = "files of other kinds"
STRAY = "files beside the folders of the classes"

logger = logging.getLogger("metapipe")


def first_few(texts: Sequence[str], between: str = "; ") -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return between.join(texts[:SHOWN]) + more


def so_many(count: int, thing: str) -> str:
    """`2 pictures are`, `1 picture is`."""
    return f"{count:,} {thing} is" if count == 1 else f"{count:,} {thing}s are"


class PassedOver:
    """What lies below a root and was not read, by kind."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, parts: Parts) -> None:
        """Note a thing by the name of its kind, in the plural."""
        self._found[kind].append(readable_name("/".join(parts)))

    def tell(self, root: Path) -> None:
        """Say it, if there is anything to say."""
        texts = [
            f"{kind}: {len(names):,} ({first_few(names, ', ')})"
            for kind, names in self._found.items()
        ]
        if texts:
            logger.warning("%s: passed over %s", readable_name(root), "; ".join(texts))
