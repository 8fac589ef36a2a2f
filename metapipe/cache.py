"""The cache: the folder of what is made once and kept, and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The platform's own folder for caches; `METAPIPE_CACHE` replaces it."""
    given = os.environ.get("METAPIPE_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("metapipe"))
