"""The task store: what ran, with what, and what came of it. Never imports torch."""

from .address import default_url, mask, require_file, whole_url
from .liveness import LOST_AFTER
from .migrate import require_tables
from .reader import StoreReader
from .store import TaskStore

__all__ = [
    "LOST_AFTER",
    "StoreReader",
    "TaskStore",
    "default_url",
    "mask",
    "require_file",
    "require_tables",
    "whole_url",
]
