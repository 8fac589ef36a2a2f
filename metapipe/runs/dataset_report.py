"""A data set as the project gives it: its splits, and what is in two of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.inspection import items_in_two_splits
from ..data.sampling import tasks
from ..dataset import Arena, Dataset, Source
from ..errors import DataError, UsageError
from ..experiment.given import COMMAND_LINE
from ..experiment.options import Pairs, by_table
from ..experiment.resolve import plugin_settings
from ..problem import Split
from .workspace import Workspace

logger = logging.getLogger("metapipe")

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Pictured:
    """Sample episodes to be drawn into a file."""

    png: Path
    ways: int
    shots: int
    queries: int
    seed: int
    episodes: int = 3


@dataclass(frozen=True)
class DatasetReport:
    """What is in a data set."""

    name: str
    settings: Mapping[str, Any]
    sources: Mapping[Split, Source]
    """The splits that there are."""

    shared: list[list[str]]
    """Items in more than one split, as `split/class` each."""


def report(
    workspace: Workspace,
    name: str,
    settings: Pairs,
    pictured: Pictured | None = None,
    source: str = COMMAND_LINE,
) -> DatasetReport:
    """Open a data set with the settings that file, environment and user give it, and
    look for items in two splits.

    A split that is not there is told of, unless it is the one to train on. Raises
    DataError, SettingError, UnknownNameError, and UsageError if what is to be
    `pictured` cannot be drawn.
    """
    by_table(settings, ("dataset",), "this command")
    values, origins = plugin_settings(
        workspace.project, workspace.registry, "dataset", name, settings, source
    )
    dataset: Dataset = workspace.registry.create("dataset", name, values, origins)
    sources = _opened(dataset)
    if pictured is not None:
        _draw(name, sources["train"], pictured)
    return DatasetReport(
        name, dataset.model_dump(mode="json"), sources, items_in_two_splits(sources)
    )


def _opened(dataset: Dataset) -> dict[Split, Source]:
    sources: dict[Split, Source] = {}
    for split in SPLITS:
        try:
            sources[split] = dataset.open(split)
        except DataError as error:
            if split == "train":
                raise
            logger.warning("%s: %s", split, error)
    return sources


def _draw(name: str, source: Source, asked: Pictured) -> None:
    from .pictures import draw_samples  # with matplotlib, which nobody else needs here

    if isinstance(source, Arena):
        raise UsageError(
            f"{name} has worlds, and what happens there depends on who acts: draw an "
            "episode of a run by metapipe episodes show N --png FILE"
        )
    shape = (asked.ways, asked.shots, asked.queries)
    recipes = tasks(name, "train", asked.seed, 0, asked.episodes, *shape)
    source.check(recipes[0])
    draw_samples(source, source.draw(recipes), asked.png)
