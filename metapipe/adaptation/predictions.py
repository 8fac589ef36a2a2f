"""Predictions of many files, a batch at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..encoder import Encoder
from ..errors import DataError
from ..numerics.remembered import remembering
from .adapted_model import AdaptedModel
from .numbers import NoNumberError
from .task_files import each_item, named_reason

Skip = Callable[[str, DataError], None]

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
    batch: dict[str, Tensor] = {}

    def skip(name: str, error: DataError) -> None:
        failures.append(name)
        logger.warning("skipped: %s", named_reason(error, name))

    def done() -> Iterator[dict[str, Any]]:
        yield from _batch(adapted, batch, skip)
        batch.clear()

    for name, read in each_item(paths, encoder):
        if len(batch) == BATCH or name in batch:
            yield from done()
        try:
            batch[name] = encoder.encode([read()])
        except DataError as error:
            skip(name, error)
    yield from done()


def _batch(
    adapted: AdaptedModel, batch: Mapping[str, Tensor], skip: Skip
) -> Iterator[dict[str, Any]]:
    """Of the inputs of which numbers come out; the others are skipped."""
    if not batch:
        return
    try:
        inputs = torch.cat(list(batch.values()))
        if adapted.classes:
            rows = classified(adapted, inputs)
        else:
            numbers = adapted.outputs(inputs).double().tolist()
            rows = [{"prediction": values} for values in numbers]
    except NoNumberError as error:
        names = [list(batch)[place] for place in error.places]
        for name in names:
            skip(name, NoNumberError([0], 1))
        others = {name: each for name, each in batch.items() if name not in names}
        yield from _batch(adapted, others, skip)
        return
    for name, row in zip(batch, rows, strict=True):
        yield {"path": name, **row}


def classified(adapted: AdaptedModel, inputs: Tensor) -> list[dict[str, Any]]:
    """A row an input; None for what cannot be known. Raises NoNumberError for inputs of
    which no number comes out."""
    with remembering():
        probabilities = adapted.probabilities(inputs)
        typicality = adapted.typicality(inputs)
    sets, rows = adapted.sets(probabilities), []
    for number, values in enumerate(probabilities.tolist()):
        named = dict(zip(adapted.classes, values, strict=True))
        ranked = sorted(named, key=lambda name: -named[name])
        held = None
        if sets is not None:
            inside = dict(zip(adapted.classes, sets[number].tolist(), strict=True))
            held = [name for name in ranked if inside[name]]
        rows.append(
            {
                "label": ranked[0],
                "probability": named[ranked[0]],
                "calibrated": adapted.trust is not None,
                "set": held,
                "typical": None if typicality is None else float(typicality[number]),
                "probabilities": named,
            }
        )
    return rows
