"""What the processes of a training have to agree on: all that decides its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..errors import CrewError
from ..experiment.registry import Registry
from ..training.crew import Crew
from ..training.loop import TrainingState
from ..training.merging import fingerprint
from .preparation import Prepared
from .provenance import environment

DECIDING = ("metapipe", "torch", "python", "threads", "gpu", "cudnn")
"""Of what figures depend on beside the experiment: what all processes have alike."""


def require_agreement(crew: Crew, prepared: Prepared, registry: Registry) -> None:
    """Raise CrewError where a process has other data, versions, settings or initial
    parameters than the one that leads."""
    if crew.size == 1:
        return
    here = environment(prepared.learner.device)
    facts = {
        **{name: here.get(name) for name in DECIDING},
        **registry.versions(prepared.experiment.chosen),
        "device": prepared.learner.device.partition(":")[0],
        "training data": prepared.sources["train"].facts.fingerprint,
        "initial parameters": _digest(prepared.meta.params),
    }
    _compare(crew, facts)


def require_same_state(crew: Crew, state: TrainingState) -> None:
    """Raise CrewError where a process has other parameters than the one that leads."""
    if crew.size > 1:
        what = {**state.meta.params, **state.meta.state}
        _compare(crew, {f"parameters at iteration {state.step}": _digest(what)})


def _compare(crew: Crew, facts: Mapping[str, Any]) -> None:
    first, *others = crew.gather(dict(facts))
    for rank, found in enumerate(others, 1):
        for name, value in first.items():
            if found.get(name) != value:
                one, other = (str(each)[:20] for each in (value, found.get(name)))
                raise CrewError(
                    f"process {rank} has other {name} than process 0 ({other}, and "
                    f"{one}): all of a training need the same data and versions"
                )


def _digest(tensors: Mapping[str, Any]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {fingerprint(tensor)}".encode())
    return whole.hexdigest()
