"""A hash of worlds that are made when they are played."""

from __future__ import annotations

import hashlib

from metapipe import Dataset, Split


def fingerprint(name: str, split: Split, settings: Dataset) -> str:
    """Of the distribution that a split's tasks are drawn from."""
    text = f"{name} {split} {settings.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()
