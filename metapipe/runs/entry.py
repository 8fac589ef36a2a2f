"""What is entered in the store of a run that begins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..store.records import NewRun
from .joining import NOWHERE, Place
from .preparation import Prepared
from .provenance import environment, git_state, host
from .run_files import new_directory
from .start import Start


def new_run(
    experiment: Experiment,
    prepared: Prepared,
    registry: Registry,
    project: Path,
    start: Start | None,
    parent: int | None,
    trial: tuple[str, int] | None = None,
    origins: Mapping[str, str] | None = None,
    place: Place = NOWHERE,
) -> NewRun:
    """The row of a run of this process, which repeats `parent`, begins at `start` or is
    a `trial` of a search, if it is any of these; `origins` tell where its settings
    came from. Its directory is chosen, and not made. `place` says how many processes
    there are, and for which job."""
    commit, dirty = git_state(project)
    return NewRun(
        name=experiment.run.name,
        algorithm=experiment.run.algorithm,
        model=experiment.run.model,
        dataset=experiment.run.dataset,
        seed=experiment.run.seed,
        ways=experiment.task.ways,
        shots=experiment.task.shots,
        queries=experiment.task.queries,
        iterations=experiment.training.iterations,
        config=experiment.to_dict(),
        plugins=registry.versions(experiment.chosen),
        environment={
            **environment(prepared.learner.device, prepared.learner.precision),
            **({"processes": place.size} if place.size > 1 else {}),
            **({"start": start.to_json()} if start else {}),
        },
        git_commit=commit,
        git_dirty=dirty,
        device=prepared.learner.device,
        mapping=None,
        parent_id=start.run.id if start and parent is None else parent,
        directory=str(new_directory(project)),
        host=host(),
        pid=os.getpid(),
        origins=origins,
        job=place.job,
        study=trial[0] if trial else None,
        trial=trial[1] if trial else None,
        **_facts_of_data(prepared),
    )


def _facts_of_data(prepared: Prepared) -> dict[str, Any]:
    """What a run needs of its data ever after: to be adapted, the data need not be
    there."""
    source = prepared.sources["train"]
    encoder = source.facts.encoder
    return {
        "fingerprint": source.facts.fingerprint,
        "problem": asdict(prepared.learner.problem),
        "encoder": None if encoder is None else encoder.model_dump(mode="json"),
    }
