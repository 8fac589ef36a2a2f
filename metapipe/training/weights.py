"""Values to begin a training with, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .learner import held_by
from .stored_learner import GROUPS
from .tensor_file import is_ours, open_tensors, read_tensors


def load_weights(network: nn.Module, path: Path) -> None:
    """Give a network the values of a safetensors file, by name; what the file does not
    name stays as it is.

    The file may be a checkpoint of a run. There this network can have been part of a
    larger one, as features are of a classifier; what else the file has stays there.
    Raises CheckpointError for a file that cannot be read, for a name or a shape that is
    not the network's, and if nothing would be taken.
    """
    held = held_by(network)
    metadata, values = open_tensors(path)
    if is_ours(metadata):
        values = _part(read_tensors(path, "checkpoint").tensors, held)
    if not values:
        raise CheckpointError(f"{path} has nothing of this network")
    for name, value in values.items():
        if name not in held:
            raise CheckpointError(f"{path} has {name}, which this network has not")
        if value.shape != held[name].shape:
            raise CheckpointError(
                f"{path} has {name} of shape {tuple(value.shape)}, in this network it "
                f"is {tuple(held[name].shape)}"
            )
    with torch.no_grad():
        for name, value in values.items():
            held[name].copy_(value)


def _part(
    tensors: Mapping[str, Tensor], held: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What a checkpoint has of a network, which is found by its first tensor's name."""
    split = {path.partition("/"): tensor for path, tensor in tensors.items()}
    known = {
        name: tensor for (group, _, name), tensor in split.items() if group in GROUPS
    }
    first = next(iter(held), "")
    places = [n.removesuffix(first) for n in known if f".{n}".endswith(f".{first}")]
    if len(places) != 1:
        return {}
    return {n: known[places[0] + n] for n in held if places[0] + n in known}
