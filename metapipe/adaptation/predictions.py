"""Predictions of many files, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError

if TYPE_CHECKING:
    from ..encoder import Encoder
    from .adapted_model import AdaptedModel


BATCH = 64
"""Files predicted at a time."""


def predictions(
    adapted: AdaptedModel, paths: tuple[Path, ...], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """A row a file, in order; a batch is held at a time. What could not be read is told
    and its name added to `failures`. Raises DataError if nothing can be."""
    if adapted.encoder is None:
        raise DataError("this model does not tell how files become inputs")
    adapted.encoder.check()
    return _rows(adapted, adapted.encoder, paths, failures)


def _rows(
    adapted: AdaptedModel,
    encoder: Encoder,
    paths: tuple[Path, ...],
    failures: list[str],
) -> Iterator[dict[str, Any]]:
    import torch

    from ..adaptation.task_files import each_item, named_reason

    batch: list[tuple[str, Any]] = []
    for name, read in each_item(paths, encoder):
        try:
            batch.append((name, encoder.encode([read()])))
        except DataError as error:
            failures.append(name)
            click.echo(f"skipped: {named_reason(error, name)}", err=True)
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
