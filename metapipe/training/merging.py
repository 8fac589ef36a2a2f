"""Parts of a meta-batch put together: one step from several, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from ..algorithm import Step
from ..episode import Metrics, Params, Task
from ..errors import PluginError
from .crew import ALONE, Crew


def merged_by(
    crew: Crew, steps: Sequence[Step], tasks: Sequence[Sequence[Task]]
) -> tuple[Step, tuple[Task, ...]]:
    """The step of a meta-batch whose parts each process of a crew has some of, in
    order, and the tasks of all parts; to the bit what `merged` makes of all parts."""
    counts = [len(part) for part in tasks]
    if crew.size == 1:
        return merged(steps, counts), tuple(task for part in tasks for task in part)
    mine: dict[str, Any] = {
        "tasks": [[_row(task) for task in part] for part in tasks],
        "metrics": [_written(step.metrics) for step in steps],
        "integers": [_fingerprints(step.state) for step in steps],
    }
    told = crew.gather(mine)
    device = steps[0].metrics["loss"].device
    metrics = [_read(one, device) for each in told for one in each["metrics"]]
    first, *others = [found for each in told for found in each["integers"]]
    for found in others:
        _require_equal(first, found)
    rows = [row for each in told for part in each["tasks"] for row in part]
    shares = [count / len(rows) for count in counts]
    parts = [len(each["tasks"]) for each in told]
    gradients = _total([step.gradients for step in steps], shares, crew, parts)
    state = _total([step.state for step in steps], shares, crew, parts)
    together = Step(gradients, _together(metrics), state)
    return together, tuple(Task(*row) for row in rows)


def merged(steps: Sequence[Step], counts: Sequence[int]) -> Step:
    """The step of a meta-batch from those of its parts, which have `counts` tasks.

    Gradients and floating `state` are means weighted by tasks, added in order, so that
    the bits do not depend on who computed which; metrics are those of one part after
    the other. Raises PluginError if integers of the state differ between parts: what
    only one part has counted nobody can put together.
    """
    if len(steps) == 1:
        return steps[0]
    first, *others = [_fingerprints(step.state) for step in steps]
    for found in others:
        _require_equal(first, found)
    shares, parts = [count / sum(counts) for count in counts], [len(steps)]
    return Step(
        _total([step.gradients for step in steps], shares, ALONE, parts),
        _together([step.metrics for step in steps]),
        _total([step.state for step in steps], shares, ALONE, parts),
    )


def _together(parts: Sequence[Metrics]) -> Metrics:
    """Figures of one part after the other: those that all have."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def fingerprint(tensor: Tensor) -> str:
    """Of its bits."""
    whole = tensor.detach().cpu().contiguous().view(-1)
    return hashlib.sha256(whole.view(torch.uint8).numpy().tobytes()).hexdigest()


def _total(
    parts: Sequence[Params], shares: Sequence[float], crew: Crew, each: Sequence[int]
) -> Params:
    """Means over the parts of all processes, of which each has as many as `each`
    says; integers as they are."""
    found = dict(parts[0])
    floating = [name for name, value in found.items() if value.is_floating_point()]
    for dtype in {found[name].dtype: None for name in floating}:
        names = [name for name in floating if found[name].dtype == dtype]
        rows = [
            torch.cat([part[name].flatten() for name in names]) * share
            for part, share in zip(parts, shares, strict=True)
        ]
        total = crew.total(torch.stack(rows), each)
        pieces = torch.split(total, [found[name].numel() for name in names])
        for name, piece in zip(names, pieces, strict=True):
            found[name] = piece.view_as(found[name])
    return found


_row = attrgetter(*(field.name for field in fields(Task)))
"""A task as JSON has it."""


def _written(metrics: Metrics) -> dict[str, Any]:
    """Figures as JSON has them, to the bit."""
    return {
        name: [str(value.dtype).removeprefix("torch."), value.tolist()]
        for name, value in metrics.items()
    }


def _read(written: Mapping[str, Any], device: torch.device) -> Metrics:
    return {
        name: torch.tensor(values, dtype=getattr(torch, dtype), device=device)
        for name, (dtype, values) in written.items()
    }


def _fingerprints(state: Params) -> dict[str, str]:
    """Of what is no floating-point number, which all parts must have alike."""
    return {
        name: fingerprint(value)
        for name, value in state.items()
        if not value.is_floating_point()
    }


def _require_equal(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    for name, found in one.items():
        if other.get(name) != found:
            raise _disagreeing(name)


def _disagreeing(name: str) -> PluginError:
    return PluginError(f"parts of a meta-batch disagree on the integer '{name}'")
