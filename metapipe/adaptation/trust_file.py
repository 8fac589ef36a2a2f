"""What an adapted model's file keeps of how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from .estimate import Estimate
from .trust import Positive, Suspect, Trust
from .typicality import Strangers, Typicality

GROUP = "trust"
"""Of its tensors."""

TYPICAL = {"centre": 1, "directions": 2, "means": 2, "own": 1}
"""Of these those that tell what is typical, with their dimensions."""


@dataclass(frozen=True)
class Record:
    """What is no tensor."""

    estimate: Estimate
    temperature: Positive
    suspects: tuple[Suspect, ...]
    strangers: Strangers | None


def to_file(trust: Trust | None) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """A record for the header, and tensors by name."""
    if trust is None:
        return None, {}
    typical = trust.typicality
    tensors = {"right": trust.right}
    if typical is not None:
        for name in TYPICAL:
            tensors[name] = getattr(typical, name)
    record = Record(
        trust.estimate,
        trust.temperature,
        trust.suspects,
        None if typical is None else typical.strangers,
    )
    return asdict(record), {f"{GROUP}/{name}": t for name, t in tensors.items()}


def from_file(record: Any, tensors: Mapping[str, Tensor], ways: int) -> Trust | None:
    """What `to_file` made; None for a model of which nothing is known, as of one that
    an older version wrote. Raises ValueError for what no file of ours says."""
    if record is None:
        return None
    # as JSON has it: a list is a tuple
    known = TypeAdapter(Record).validate_python(record)
    if known.strangers is not None and "means" not in tensors:
        return None  # strangers were told by directions alone
    _require(tensors.get("right"), 1, "held-out confidences")
    if len(known.estimate.confusion) != ways:
        raise ValueError("its estimate is of another number of classes")
    return Trust(
        known.estimate,
        known.temperature,
        tensors["right"],
        known.suspects,
        None if known.strangers is None else _typicality(known.strangers, tensors),
    )


def _typicality(strangers: Strangers, tensors: Mapping[str, Tensor]) -> Typicality:
    for name, dimensions in TYPICAL.items():
        _require(tensors.get(name), dimensions, name)
    centre, directions, means, own = (tensors[name] for name in TYPICAL)
    if not means.shape == directions.shape == (len(directions), len(centre)):
        raise ValueError("its classes and their middle have vectors of two lengths")
    return Typicality(centre, directions, means, own, strangers)


def _require(tensor: Tensor | None, dimensions: int, what: str) -> None:
    sound = (
        tensor is not None
        and tensor.dtype == torch.float64
        and tensor.ndim == dimensions
        and len(tensor)
        and bool(tensor.isfinite().all())
    )
    if not sound:
        raise ValueError(f"it lacks its {what}")
