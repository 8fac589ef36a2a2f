"""What somebody trained or adapted as a file for deployment: `metapipe export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import NotFoundError, UsageError
from ..runs.stored_run import trained_run
from ..runs.workspace import Workspace
from ..store import TaskStore
from ..store.records import RunRow
from .adapted_file import load
from .adapted_model import AdaptedModel
from .export import Exported, export_onnx, export_program
from .policy_export import export_policy


def deploy(
    workspace: Workspace,
    model: str,
    file: Path,
    *,
    onnx: bool,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Write an adapted model, which is a file, or the policy of a run, as ONNX or as a
    torch.export program; returns what there is to know of it.

    Raises UsageError for a checkpoint of a file, UnsupportedError, DataError,
    NotFoundError and WriteError.
    """
    if Path(model).exists():
        if checkpoint is not None:
            raise UsageError("--checkpoint is of a run, and this is a file")
        adapted = load(Path(model), workspace.registry, "cpu")
        exported = (export_onnx if onnx else export_program)(adapted, file)
        return {"file": str(file), **_facts(adapted, exported)}
    store, registry = workspace.store, workspace.registry
    row, which = _run(store, model), checkpoint or "best"
    policy = export_policy(store, registry, row, file, onnx=onnx, which=which)
    return {"file": str(file), **asdict(policy)}


def _run(store: TaskStore, name: str) -> RunRow:
    """Raises NotFoundError for what is no run, and no file either."""
    try:
        return trained_run(store, name)
    except NotFoundError as error:
        raise NotFoundError(f"there is no file '{name}', and {error}") from error


def _facts(adapted: AdaptedModel, exported: Exported) -> dict[str, Any]:
    return {
        "input": ["n", *exported.takes],
        "output": ["n", len(adapted.classes) or adapted.learner.problem.outputs],
        "vectors": exported.width and ["n", exported.width],
        "classes": list(adapted.classes),
        "largest_difference": exported.difference,
        "lacks": exported.lacks,
    }
