"""Runs kept open, so that learning another task by one does not read it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..experiment.registry import Registry
from ..runs.run_files import runs_folder
from ..runs.stored_run import checkpoint_row, trained_run
from ..runs.workspace import Workspace
from ..store import TaskStore
from .trained_run import TrainedRun, open_run

KEPT = 4
"""How many, the latest used."""


def kept_open(
    workspace: Workspace,
    store: TaskStore,
    run: int | str,
    checkpoint: str = "best",
    settings: Mapping[str, Any] | None = None,
) -> TrainedRun:
    """A run of the workspace's store, as `open_run` opens it or opened it before.

    It is known by the hash of its checkpoint: going on with the run, or another one of
    its number, is another thing to open.
    """
    row = trained_run(store, run)
    sha256 = checkpoint_row(store, row, checkpoint).sha256
    return _opened(
        workspace.url,
        runs_folder(workspace.project.directory),
        workspace.registry,
        row.id,
        checkpoint,
        json.dumps(settings or {}),
        sha256,
    )


@lru_cache(KEPT)
def _opened(
    url: str,
    runs: Path,
    registry: Registry,
    run: int,
    kind: str,
    settings: str,
    sha256: str,
) -> TrainedRun:
    with TaskStore.open(url, runs=runs) as store:
        return open_run(store, registry, run, kind, json.loads(settings))
