"""The observers that a run names, ready to listen."""

from __future__ import annotations

import logging

from ..errors import MetapipeError
from ..experiment.experiment import Experiment
from ..experiment.listeners import Listener, listener
from ..experiment.registry import Registry
from ..observer import Observer
from ..printable import without_passwords

logger = logging.getLogger("metapipe")


def check_observers(experiment: Experiment, registry: Registry) -> None:
    """Raises DataError if one of them cannot listen here."""
    for name in experiment.observers:
        _observer(name, experiment, registry).check()


def named_listeners(
    experiment: Experiment, registry: Registry, run_id: int
) -> list[Listener]:
    """What is told of the run by those that it names. One that cannot listen
    any more is told of in a warning: the run goes on without it."""
    found: list[Listener] = []
    for name in experiment.observers:
        try:
            observer = _observer(name, experiment, registry)
            observer.check()
            found.append(listener(name, observer.listener()))
        except Exception as error:  # anybody's code
            ours = isinstance(error, MetapipeError)
            logger.warning(
                "run %d goes on without its observer %s: %s%s",
                *(run_id, name, "" if ours else f"{type(error).__name__}: "),
                without_passwords(str(error)),
            )
    return found


def _observer(name: str, experiment: Experiment, registry: Registry) -> Observer:
    made: Observer = registry.create("observer", name, experiment.observers[name])
    return made
