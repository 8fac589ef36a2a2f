"""A checkpoint: one safetensors file with its JSON in the header.

Tensors are named `params/NAME`, `state/NAME`, `constants/NAME` and
`optimiser/KEY/NAME`; the header tells the rest. One file, written aside, synced and
renamed: it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..algorithm import Meta
from ..episode import Params
from ..errors import CheckpointError
from .learner import Learner, constants_of, fit_constants
from .loop import TrainingState
from .tensor_file import named, shapes, write_tensors

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    tensors: Mapping[str, Tensor]
    header: Mapping[str, Any]
    """step, first_loss, and whatever `save` was given."""

    sha256: str

    @property
    def step(self) -> int:
        """Meta-iterations done."""
        return int(self.header["step"])

    def meta(self, device: str) -> Meta:
        """The meta-parameters and state."""
        return Meta(
            named(self.tensors, "params/", device),
            named(self.tensors, "state/", device),
        )

    def constants(self, device: str) -> Params:
        """What the network holds beside them."""
        return named(self.tensors, "constants/", device)

    def restore(self, state: TrainingState, learner: Learner) -> None:
        """Put the stored state in place of a freshly started one, and the network's
        constants in place of the learner's.

        Raises CheckpointError if names or shapes are not theirs.
        """
        device = str(next(iter(state.meta.params.values())).device)
        meta = self.meta(device)
        fitting = shapes(state.meta.params) == shapes(meta.params)
        if not fitting or not fit_constants(learner, meta, self.constants(device)):
            raise CheckpointError(
                "the checkpoint's parameters do not fit the network of this experiment"
            )
        with torch.no_grad():
            for name, p in state.meta.params.items():
                p.copy_(meta.params[name])
        state.meta = Meta(state.meta.params, meta.state)
        state.step = self.step
        state.first_loss = self.header["first_loss"]
        for path, value in self.tensors.items():
            group, _, rest = path.partition("/")
            if group == "optimiser":
                key, _, name = rest.partition("/")
                # torch's optimisers keep their step counters, and only these, there
                value = value.clone().to("cpu" if key == "step" else device)
                state.optimiser.state[state.meta.params[name]][key] = value


def save(
    path: Path, state: TrainingState, network: nn.Module, extra: Mapping[str, Any]
) -> str:
    """Write `state`, and what `network` holds beside it, to `path`; returns the file's
    SHA-256.

    `extra` is JSON-able and comes back in the header.
    """
    names = {id(p): name for name, p in state.meta.params.items()}
    tensors = {
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
    header = {
        "format": FORMAT,
        "step": state.step,
        "first_loss": state.first_loss,
        **extra,
    }
    return write_tensors(path, tensors, {"metapipe": json.dumps(header)})


def load(path: Path, sha256: str | None = None) -> Checkpoint:
    """Read a checkpoint, refusing one that is not there, not whole, or not ours."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"no checkpoint at {path}: {error.strerror}") from error
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 is {found[:12]}..., the store says "
            f"{sha256[:12]}..."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["metapipe"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a metapipe checkpoint") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {header.get('format')}, this metapipe reads {FORMAT}"
        )
    return Checkpoint(tensors, header, found)
