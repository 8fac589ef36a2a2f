"""The commands about new tasks as functions: for a notebook, or a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..experiment.options import from_settings, hinting
from ..experiment.written import typed
from ..runs.workspace import AnyPath, Workspace
from ..training.evaluation import QueryMode
from .adapt_run import Adaptation, adapt_run
from .adapted_file import load
from .adapted_model import AdaptedModel
from .amendment import Amendment
from .amendment import amend as amend_file
from .items import encoded, require_pictures, require_several
from .new_task import NewTask, tables_of
from .predictions import predictions
from .task_files import Unreadable


@hinting
def adapt(
    run: int | str | None = None,
    *,
    backbone: str | None = None,
    head: str | None = None,
    support: AnyPath,
    query: AnyPath | None = None,
    out: AnyPath | None = None,
    checkpoint: str | None = None,
    prediction: QueryMode = "alone",
    settings: Mapping[str, Any] | None = None,
    unreadable: Unreadable = "error",
    self_contained: bool = False,
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> Adaptation:
    """Learn your own classes from a few examples each: `metapipe adapt`.

    `support` is a folder (or zip, or tar) with a folder a class, or a table; `query`
    has more of them, to be judged by. The model is returned, and written to `out`. With
    a `backbone` no run is needed; with neither it is the latest.
    """
    if backbone is None and run is None:
        run = "latest"
    task = NewTask(
        Path(support),
        None if query is None else Path(query),
        checkpoint,
        prediction,
        tables_of(from_settings(settings), backbone),
        backbone,
        head,
        unreadable,
        self_contained,
    )
    with Workspace.at(project, db, plugin_paths) as workspace:
        return adapt_run(workspace, run, task, None if out is None else Path(out))


@hinting
def embed(
    items: Any,
    backbone: str,
    *,
    settings: Mapping[str, Any] | None = None,
    project: AnyPath | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> NDArray[np.float32]:
    """Vectors (n, d) that a backbone makes of things: of paths, bytes of files, Pillow
    images or arrays; of texts or of rows by column, for a backbone of texts.

    `settings` are the backbone's, such as {"size": 224}. Vectors of pictures are kept
    in the cache. Raises ValueError for one thing alone, and DataError for one that
    cannot be read, or if the backbone lacks something.
    """
    require_several(items)
    if isinstance(items, np.ndarray):
        require_pictures(items)
    registry = Workspace.at(project, None, plugin_paths).registry
    given = {n.removeprefix("backbone."): v for n, v in (settings or {}).items()}
    known = registry.entry("backbone", backbone).cls
    chosen = registry.create("backbone", backbone, typed("backbone", given, known))
    vectors: NDArray[np.float32] = encoded(items, chosen.encoder()).numpy()
    return vectors


@hinting
def amend(
    file: AnyPath,
    *,
    add: AnyPath | None = None,
    remove: Iterable[str] | str = (),
    query: AnyPath | None = None,
    out: AnyPath | None = None,
    unreadable: Unreadable = "error",
    project: AnyPath | None = None,
    db: str | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> Adaptation:
    """Add examples to an adapted model, or take classes and examples away:
    `metapipe adapt FILE --add DIR --remove NAME`.

    It learns again from the vectors that the file keeps, and is written to `out`, or in
    place of `file`.
    """
    amendment = Amendment(
        Path(file),
        None if add is None else Path(add),
        (remove,) if isinstance(remove, str) else tuple(remove),
        None if query is None else Path(query),
        unreadable,
    )
    with Workspace.at(project, db, plugin_paths) as workspace:
        return amend_file(workspace, amendment, None if out is None else Path(out))


@hinting
def load_adapted(
    path: AnyPath,
    *,
    device: str = "auto",
    project: AnyPath | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> AdaptedModel:
    """An adapted model from the file that `adapt` wrote; no store, no data needed.

    Raises CheckpointError for a file that is missing, damaged or not ours.
    """
    registry = Workspace.at(project, None, plugin_paths).registry
    return load(Path(path), registry, device)


@hinting
def predict(
    model: AdaptedModel | Adaptation | AnyPath,
    paths: Iterable[AnyPath] | AnyPath,
    *,
    project: AnyPath | None = None,
    plugin_paths: Iterable[AnyPath] | AnyPath = (),
) -> list[dict[str, Any]]:
    """Predict files with an adapted model, or the file of one: `metapipe predict`.

    `paths` are files, folders, or archives. A row an item has `path`, and the numbers
    of a regression as `prediction`, or `label`, `probability` and `probabilities`,
    which are confidences if `calibrated`; `set`, the classes of which one is right nine
    times in ten; and `typical`, the share of the model's own examples that are no more
    like any class. Both are None where they cannot be known. What cannot be read is
    told of and left out.
    """
    if isinstance(model, Adaptation):
        model = model.model
    if isinstance(model, str | PathLike):
        model = load_adapted(model, project=project, plugin_paths=plugin_paths)
    several = [paths] if isinstance(paths, str | PathLike) else paths
    return list(predictions(model, [Path(path) for path in several], []))
