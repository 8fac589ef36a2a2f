"""What processes that work together have to agree on: all that decides figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..dataset import Source
from ..errors import CrewError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..problem import Split
from ..training.crew import Crew
from ..training.loop import TrainingState
from ..training.merging import fingerprint
from .preparation import Prepared
from .provenance import environment

NAMES: Mapping[Split, str] = {"train": "training", "val": "validation", "test": "test"}
"""What the data of a split are called."""

DECIDING = ("metapipe", "torch", "python", "gpu", "cudnn")
"""Of what figures depend on beside the experiment: what all processes have alike."""


def require_agreement(crew: Crew, prepared: Prepared, registry: Registry) -> None:
    """Raise CrewError where a process has other data, versions, settings or initial
    parameters than the one that leads."""
    if crew.size == 1:
        return
    device = prepared.learner.device
    facts = {
        **_versions(prepared.experiment, registry, device),
        "device": device.partition(":")[0],
        **_data(prepared.sources),
        "initial parameters": _digest(prepared.meta.params),
    }
    _compare(crew, facts)


def require_same_test(
    crew: Crew,
    experiment: Experiment,
    registry: Registry,
    data: tuple[Split, Source],
    device: str,
) -> None:
    """Raise CrewError where a process that judges has other data or versions than the
    one that leads."""
    if crew.size > 1:
        versions = _versions(experiment, registry, device)
        _compare(crew, {**versions, **_data(dict([data]))})


def require_same_state(crew: Crew, state: TrainingState) -> None:
    """Raise CrewError where a process has other parameters than the one that leads."""
    if crew.size > 1:
        what = {**state.meta.params, **state.meta.state}
        _compare(crew, {f"parameters at iteration {state.step}": _digest(what)})


def _versions(
    experiment: Experiment, registry: Registry, device: str
) -> dict[str, Any]:
    here = environment(device)
    own = {name: here.get(name) for name in DECIDING}
    return {**own, **registry.versions(experiment.chosen)}


def _data(sources: Mapping[Split, Source]) -> dict[str, Any]:
    """What is read, whichever split it is of."""
    return {
        f"{NAMES[split]} data": source.facts.fingerprint
        for split, source in sources.items()
    }


def _compare(crew: Crew, facts: Mapping[str, Any]) -> None:
    first, *others = crew.gather(dict(facts))
    for rank, found in enumerate(others, 1):
        for name, value in first.items():
            if found.get(name) != value:
                one, other = (str(each)[:20] for each in (value, found.get(name)))
                raise CrewError(
                    f"process {rank} has other {name} than process 0 ({other}, and "
                    f"{one}): all need the same data and versions"
                )


def _digest(tensors: Mapping[str, Any]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {fingerprint(tensor)}".encode())
    return whole.hexdigest()
