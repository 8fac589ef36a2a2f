"""The task store: what ran, with what, and what came of it. Never imports torch."""

from .engine import default_url, mask, require_file
from .liveness import LOST_AFTER
from .store import TaskStore

__all__ = ["LOST_AFTER", "TaskStore", "default_url", "mask", "require_file"]
