"""Predictions of many files, a batch at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..encoder import Encoder
from ..errors import DataError
from .adapted_model import AdaptedModel
from .task_files import each_item, named_reason

BATCH = 64
"""Files predicted at a time."""

logger = logging.getLogger("metapipe")


def predictions(
    adapted: AdaptedModel, paths: Sequence[Path], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """A row a file, in order; a batch is held at a time. What cannot be read is told
    of, skipped, and added to `failures`. Raises DataError if nothing can be."""
    if adapted.encoder is None:
        raise DataError("this model does not tell how files become inputs")
    adapted.encoder.check()
    return _rows(adapted, adapted.encoder, paths, failures)


def _rows(
    adapted: AdaptedModel,
    encoder: Encoder,
    paths: Sequence[Path],
    failures: list[str],
) -> Iterator[dict[str, Any]]:
    batch: list[tuple[str, Any]] = []
    for name, read in each_item(paths, encoder):
        try:
            batch.append((name, encoder.encode([read()])))
        except DataError as error:
            failures.append(name)
            logger.warning("skipped: %s", named_reason(error, name))
        if len(batch) == BATCH:
            yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))
            batch.clear()
    if batch:
        yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))


def _batch(
    adapted: AdaptedModel, batch: list[tuple[str, Any]], inputs: Any
) -> Iterator[dict[str, Any]]:
    if not adapted.classes:
        for (path, _), values in zip(batch, adapted.outputs(inputs), strict=True):
            yield {"path": path, "prediction": values.tolist()}
        return
    probabilities = adapted.probabilities(inputs).tolist()
    for (path, _), row in zip(batch, probabilities, strict=True):
        named = dict(zip(adapted.classes, row, strict=True))
        label = max(named, key=lambda name: named[name])
        yield {
            "path": path,
            "label": label,
            "probability": named[label],
            "probabilities": named,
        }
