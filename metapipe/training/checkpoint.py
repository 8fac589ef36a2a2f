"""A checkpoint: all that changes while training, in a file.

Tensors are named `params/NAME`, `state/NAME`, `constants/NAME` and
`optimiser/KEY/NAME`; the header tells the rest.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..algorithm import Meta
from ..errors import CheckpointError
from ..numerics.task_map import is_task_map
from ..whole_file import sha256_of
from .learner import constants_of
from .loop import TrainingState
from .tensor_file import TensorFile, read_tensors, shapes, write_tensors

ABSENT = object()
"""What a header does not tell."""


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # nor so large that no float is as large


def _is_ranking(value: object) -> bool:
    """Steps with their validations."""
    return isinstance(value, list) and all(
        isinstance(each, list)
        and len(each) == 2
        and type(each[0]) is int
        and 0 <= each[0] < 2**63
        and _is_number(each[1])
        for each in value
    )


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "step": lambda v: type(v) is int and 0 <= v < 2**63,
    "first_loss": lambda v: v is None or _is_number(v),
    "best": lambda v: v in (None, ABSENT) or _is_number(v) or _is_ranking(v),
    "seconds": lambda v: v is ABSENT or (_is_number(v) and v >= 0),
    "mapping": lambda v: v is ABSENT or (isinstance(v, str) and is_task_map(v)),
    "classes": lambda v: v is ABSENT or _are_names(v),
    "groups": lambda v: v is ABSENT or _are_names(v),
}
"""What a sound header has under a name."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    file: TensorFile
    sha256: str
    """Of the whole file, as the store has it."""

    @property
    def header(self) -> Mapping[str, Any]:
        """step, first_loss, and whatever `save` was given."""
        return self.file.header

    @property
    def step(self) -> int:
        """Meta-iterations done when it was written."""
        return int(self.header["step"])

    def meta(self, device: str) -> Meta:
        """The meta-parameters and state."""
        return Meta(self.file.group("params", device), self.file.group("state", device))

    def difference(self, state: TrainingState, network: nn.Module) -> str | None:
        """The first tensor, by its name, that is another than in `state` and `network`,
        or in one of both only; None if they are equal bit for bit."""
        mine = _tensors(state, network)
        for name in sorted({*mine, *self.file.tensors}):
            found, stored = mine.get(name), self.file.tensors.get(name)
            if found is None or stored is None or not _equal(found.cpu(), stored):
                return name
        return None

    def restore(self, state: TrainingState) -> None:
        """Put the stored state in place of a freshly started one.

        Raises CheckpointError if names or shapes are not its own.
        """
        device = str(next(iter(state.meta.params.values())).device)
        meta = self.meta(device)
        ours = shapes(state.meta.params), shapes(state.meta.state)
        if ours != (shapes(meta.params), shapes(meta.state)):
            raise CheckpointError(
                f"{self.file.path} does not fit the network of this experiment"
            )
        with torch.no_grad():
            for name, p in state.meta.params.items():
                p.copy_(meta.params[name])
        kept = {name: meta.state[name] for name in state.meta.state}
        state.meta = Meta(state.meta.params, kept)
        state.step = self.step
        state.first_loss = self.header["first_loss"]
        for path, value in self.file.tensors.items():
            group, _, rest = path.partition("/")
            if group == "optimiser":
                key, _, name = rest.partition("/")
                parameter = state.meta.params.get(name)
                if parameter is None or value.shape not in (parameter.shape, ()):
                    raise CheckpointError(f"{self.file.path} is damaged: its {path}")
                # torch's optimisers keep their step counters, and only these, there
                value = value.clone().to("cpu" if key == "step" else device)
                state.optimiser.state[parameter][key] = value


def save(
    path: Path, state: TrainingState, network: nn.Module, extra: Mapping[str, Any]
) -> str:
    """Write `state`, and what `network` holds beside it, to `path`; returns the file's
    SHA-256.

    `extra` is JSON-able and comes back in the header. Raises WriteError if the file
    cannot be written.
    """
    tensors = _tensors(state, network)
    header = {"step": state.step, "first_loss": state.first_loss, **extra}
    return write_tensors(path, "checkpoint", tensors, header)


def load(path: Path, sha256: str | None = None) -> Checkpoint:
    """Read a checkpoint, whose hash the store may know. Raises CheckpointError for one
    that is not there, not whole, or not ours."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"no checkpoint at {path}: {error.strerror}") from error
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 is {found[:12]}..., the store says "
            f"{sha256[:12]}..."
        )
    file = read_tensors(path, "checkpoint")
    for name, sound in FIELDS.items():
        if not sound(file.header.get(name, ABSENT)):
            raise CheckpointError(
                f"{path} has a damaged header: {name} = "
                f"{reprlib.repr(file.header.get(name))}"
            )
    return Checkpoint(file, found)


def _tensors(state: TrainingState, network: nn.Module) -> dict[str, Tensor]:
    """All that a checkpoint holds, by GROUP/NAME."""
    names = {id(p): name for name, p in state.meta.params.items()}
    return {
        **{f"params/{name}": p.detach() for name, p in state.meta.params.items()},
        **{f"state/{name}": b for name, b in state.meta.state.items()},
        **{
            f"constants/{name}": value
            for name, value in constants_of(network, state.meta).items()
        },
        **{
            f"optimiser/{key}/{names[id(p)]}": value
            for p, values in state.optimiser.state.items()
            for key, value in values.items()
            if isinstance(value, Tensor)
        },
    }


def _equal(found: Tensor, stored: Tensor) -> bool:
    return found.dtype == stored.dtype and torch.equal(found, stored)
