"""Every error metapipe raises on purpose.

MetapipeError                  failure: exit code 1
├── UsageError                 wrong usage: exit code 2
│   ├── SettingError           an unknown or invalid setting
│   ├── UnknownNameError       no plugin, column or option of that name
│   ├── FilterError            a `--where` or `--sort` that does not parse
│   ├── StoreUrlError          a task store's URL that means nothing; a StoreError too
│   └── UnsupportedError       the algorithm cannot do what was asked
├── NotFoundError              no such run, episode, evaluation or checkpoint
├── PluginError                a plugin that cannot be loaded or breaks its contract
├── DataError                  data that cannot be found or read
│   └── PathError              a path of the user's that leads to nothing; code 2 too
├── StoreError                 the task store cannot be reached or used
│   ├── OutdatedSchemaError    the store's schema is not this version's
│   ├── ClaimError             the run belongs to another process
│   └── UnreachableError       the store cannot be reached now, and may be again
├── CheckpointError            a checkpoint that is missing, damaged or foreign
├── WriteError                 a file that cannot be written
└── TrainingError              training cannot go on
    ├── DivergedError          the loss or the parameters are no longer finite
    ├── OutOfMemoryError       the device has too little memory
    └── CrewError              the processes of one training cannot work together
        └── CrewLostError      one of them is gone, or does not answer

A message is one line: what is wrong, where, and what to do. What it quotes of files
and names from outside is made fit to be printed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .printable import printable, shortened

LONGEST = 1000
"""Characters of a message, whatever it quotes."""


class MetapipeError(Exception):
    """Base of all errors that are the user's to read."""

    exit_code = 1

    told = False
    """Whether another process tells the user of it."""

    def __str__(self) -> str:
        return shortened(printable(super().__str__().strip()), LONGEST)


class UsageError(MetapipeError):
    """The request itself is wrong."""

    exit_code = 2


class SettingError(UsageError):
    """A setting is unknown or its value is invalid."""


class UnknownNameError(UsageError):
    """Nothing is registered under that name."""


class FilterError(UsageError):
    """A filter or sort expression does not parse."""


class UnsupportedError(UsageError, ValueError):
    """The chosen algorithm, model or data set cannot do what was asked."""


class NotFoundError(MetapipeError):
    """A run, episode, evaluation or checkpoint that is not in the store."""


class PluginError(MetapipeError):
    """A plugin cannot be loaded or breaks its contract."""


class DataError(MetapipeError):
    """Data cannot be found or read."""


class PathError(DataError, SettingError):
    """A path that is not given, or leads to nothing or to what is no file or folder."""


class StoreError(MetapipeError):
    """The task store cannot be reached or used."""


class StoreUrlError(StoreError, UsageError):
    """A task store's URL that cannot be read, or is of no kind of store we know."""


class OutdatedSchemaError(StoreError):
    """The store was made by another version of metapipe."""


class ClaimError(StoreError):
    """A run that belongs to another process, which may have taken it over."""


class UnreachableError(StoreError):
    """The store cannot be reached at the moment: its server is down or restarts, or
    other writers hold it."""


class CheckpointError(MetapipeError):
    """A checkpoint is missing, damaged or not ours."""


class WriteError(MetapipeError):
    """A file cannot be written; what was there is still there."""


class TrainingError(MetapipeError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The loss or the parameters are no longer finite."""


class OutOfMemoryError(TrainingError):
    """A device has too little memory for what was asked."""


class CrewError(TrainingError):
    """The processes of one training cannot work together, or one of them failed."""


class CrewLostError(CrewError):
    """One of the processes of a training is gone, or does not answer."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A sentence that offers the nearest of `names`, or lists them all."""
    known = sorted(names)
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if not near and len(name) > 2:  # cut short, as acc for accuracy
        near = sorted((n for n in known if n.startswith(name)), key=len)[:1]
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(known)}" if known else "there are none"
