"""Checkpoints and adapted models with headers that lie, and checksums that are true."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

import torch

from metapipe.adaptation.adapted_file import load as load_adapted
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import Registry
from metapipe.runs.preparation import prepare
from metapipe.training.checkpoint import load as load_checkpoint
from metapipe.training.loop import initial_state

from .target import Target
from .values import changed, damaged, value


def adapted_models(registry: Registry, whole: bytes) -> Target:
    """Made from one that is whole, opened, and asked for a prediction."""

    def read(made: bytes, folder: Path) -> None:
        path = folder / "a.metapipe"
        path.write_bytes(made)
        model = load_adapted(path, registry, device="cpu")
        model.outputs(torch.rand(1, *model.learner.problem.shape))

    return Target("adapted models", lambda random: _make(random, whole), read)


def checkpoints(registry: Registry, whole: bytes) -> Target:
    """Made from one that is whole, and opened as a resumed run does."""

    def read(made: bytes, folder: Path) -> None:
        path = folder / "latest.safetensors"
        path.write_bytes(made)
        checkpoint = load_checkpoint(path)
        settings = Experiment.from_dict(checkpoint.header.get("experiment"), registry)
        prepared = prepare(settings, checkpoint)
        groups = settings.algorithm.groups()
        checkpoint.restore(initial_state(prepared.meta, settings.training, groups))

    return Target("checkpoints", lambda random: _make(random, whole), read)


def _make(random: Random, whole: bytes) -> bytes:
    """A file with its JSON or its table of tensors changed, and mostly a checksum that
    is true of that; or with some bytes changed."""
    if random.random() < 0.1:
        return damaged(random, whole)
    head, data = _parts(whole)
    metadata = head["__metadata__"]
    header = json.loads(metadata["metapipe"])
    for _ in range(random.choice((1, 1, 2, 4))):
        if random.random() < 0.7:
            header = changed(random, header)
        else:
            head = _other_table(random, head)
    if random.random() < 0.2 and isinstance(header, dict):  # before checksums
        metadata.pop("sha256")
        header = {**header, "format": 1}
    metadata["metapipe"] = _json(header)
    if random.random() < 0.1:
        metadata.pop(random.choice(list(metadata)))
    if random.random() < 0.05:
        data = data[: random.randrange(len(data))]
    return _with_checksum(head, data)


def _other_table(random: Random, head: dict[str, Any]) -> dict[str, Any]:
    """Another shape, type, place or name of a tensor."""
    names = [name for name in head if name != "__metadata__"]
    name = random.choice(names)
    entry = head[name] if isinstance(head[name], dict) else {}
    match random.randrange(5):
        case 0:
            return {k: v for k, v in head.items() if k != name}
        case 1:
            return {**head, random.choice(names) + random.choice(("", "x")): entry}
        case 2:
            shapes = ([], [0], [2**31], [2**62, 4], [10**30], [-1], value(random, 1))
            return {**head, name: {**entry, "shape": random.choice(shapes)}}
        case 3:
            types = ("F16", "F64", "I64", "BOOL", "U8", "F4", "X", 3, None)
            return {**head, name: {**entry, "dtype": random.choice(types)}}
        case _:
            return {**head, name: changed(random, entry)}


def _parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(whole[8:end]), whole[end:]


def _with_checksum(head: dict[str, Any], data: bytes) -> bytes:
    metadata = head.get("__metadata__")
    if isinstance(metadata, dict) and "sha256" in metadata:
        metadata["sha256"] = "0" * 64
        digest = hashlib.sha256(_bytes(head) + data).hexdigest()
        metadata["sha256"] = digest
    return _bytes(head) + data


def _bytes(head: dict[str, Any]) -> bytes:
    text = _json(head).encode(errors="surrogatepass")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _json(made: Any) -> str:
    """As the writer has it, or as near as Python gets to what is deep."""
    try:
        return json.dumps(made, sort_keys=True, separators=(",", ":"))
    except (RecursionError, TypeError):
        return "[" * 5000
