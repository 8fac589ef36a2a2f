"""The file of an adapted model: written, and read again.

It has the format of a checkpoint. Opening it needs neither store nor data; no code is
read from it.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from ..data.encoders import encoder_from, is_name
from ..data.feature_encoder import FeatureEncoder
from ..episode import Samples
from ..errors import CheckpointError, MetapipeError, UnsupportedError
from ..experiment.missing import telling_origins
from ..experiment.registry import Registry
from ..printable import one_line
from ..problem import Kind, Problem
from ..training.activations import LARGEST as LARGEST_ACTIVATION
from ..training.activations import bytes_per_input
from ..training.device import choose_device
from ..training.learner import constants_of
from ..training.stored_learner import open_learner
from ..training.tensor_file import TensorFile, read_tensors, write_tensors
from .adapted_model import AdaptedModel, ModelOrigin
from .examples import Item
from .trust_file import GROUP as TRUST
from .trust_file import from_file, to_file

LARGEST = 2**22
"""Numbers in an input that a file may claim: a picture of 1024 x 1024 in colour, or
four million words."""


def save(adapted: AdaptedModel, path: Path) -> str:
    """Write one file; returns its SHA-256.

    Of a task learned on vectors of a backbone it has those of the support, so that the
    task can be learned again with other examples. Raises WriteError if it cannot be
    written, and UnsupportedError if it cannot carry the weights of the backbone.
    """
    groups = {
        "params": adapted.meta.params,
        "state": adapted.meta.state,
        "constants": constants_of(adapted.learner.network, adapted.meta),
        "adapted": adapted.params,
    }
    found = {
        f"{group}/{name}": tensor.detach().cpu().clone()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    support = adapted.support
    if adapted.learner.normalises_batches:  # a prediction needs the batch it is one of
        found["support"] = support.inputs.cpu()
    if adapted.origin.backbone or isinstance(adapted.encoder, FeatureEncoder):
        found |= {"support": support.inputs.cpu(), "labels": support.targets.cpu()}
    if adapted.carries_weights:
        found |= {f"backbone/{name}": w for name, w in carried_by(adapted).items()}
    record, tensors = to_file(adapted.trust)
    found |= tensors
    header = header_of(adapted)
    header["trust"] = record
    if "labels" in found:
        header["items"] = adapted.items
    return write_tensors(path, "adapted", found, header)


def header_of(adapted: AdaptedModel) -> dict[str, Any]:
    """What its file tells beside tensors, JSON-able."""
    return {
        "problem": asdict(adapted.learner.problem),
        "classes": adapted.classes,
        "encoder": adapted.encoder and adapted.encoder.model_dump(mode="json"),
        "origin": asdict(adapted.origin),
        "carries_weights": adapted.carries_weights,
        "counts": adapted.counts,
        "judged": adapted.judged,
    }


def carried_by(adapted: AdaptedModel) -> Mapping[str, Tensor]:
    """The weights of its backbone, by name, for its file. Raises UnsupportedError if a
    file cannot carry them, and DataError if they are not here."""
    weights = None if adapted.encoder is None else adapted.encoder.weights()
    if weights is None:
        name = getattr(adapted.encoder, "type", "an encoder that is not known")
        raise UnsupportedError(
            f"a file cannot carry {name}: leave --self-contained out, and have it "
            "where the file is used"
        )
    return weights


def load(path: Path, registry: Registry, device: str = "auto") -> AdaptedModel:
    """Read what `save` wrote.

    Raises CheckpointError for a file that is missing, damaged, not ours, or not to be
    predicted by; UnknownNameError and DataError if it needs a plugin or an encoder that
    is not here.
    """
    try:
        model = _load(path, registry, device)
        _require_prediction(model, path)
    except MetapipeError as error:
        text = str(error)
        if str(path) not in text:
            raise type(error)(f"{path}: {text:.300}") from error
        raise
    return model


def _load(path: Path, registry: Registry, device: str) -> AdaptedModel:
    file = read_tensors(path, "adapted")
    header = file.header
    device = choose_device(device)
    try:
        origin = ModelOrigin(**header["origin"])
        problem = Problem.from_record(header["problem"])
        record, classes = header["encoder"], tuple(map(str, header["classes"]))
        settings = origin.settings
        algorithm, model = settings["algorithm"], settings["model"]
        _check_header(origin, problem, classes)
        kept = from_file(header.get("trust"), file.group(TRUST, "cpu"), len(classes))
        encoder = encoder_from(record, registry.encoders) if record else None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = one_line(error)
        raise CheckpointError(f"{path} has a damaged header: {reason:.200}") from error
    with telling_origins(origin.plugins, registry):
        plugins = (
            registry.create("algorithm", origin.algorithm, algorithm),
            registry.create("model", origin.model, model),
        )
    learner, meta = open_learner(*plugins, problem, device, file)
    support, items = _support(file, problem, len(classes))
    if learner.normalises_batches and not len(support.inputs):
        raise CheckpointError(f"{path} is damaged: it lacks the support set")
    weights = file.group("backbone", "cpu")
    if encoder is not None and weights:
        encoder = encoder.with_weights(weights)
    return AdaptedModel(
        learner,
        meta,
        params=file.group("adapted", device),
        support=Samples(*(tensor.to(device) for tensor in support)),
        classes=classes,
        encoder=encoder,
        origin=origin,
        items=items,
        carries_weights=bool(header.get("carries_weights")),
        counts=header.get("counts") or {},
        judged=header.get("judged"),
        kept_trust=kept,
    )


def _support(
    file: TensorFile, problem: Problem, ways: int
) -> tuple[Samples, tuple[Item, ...]]:
    """What the file keeps of it, if anything; labels only with their items."""
    inputs = file.tensors.get("support", torch.empty(0, *problem.shape))
    labels = file.tensors.get("labels", torch.empty(0, dtype=torch.long))
    try:
        items = tuple(Item(*map(str, item)) for item in file.header.get("items", ()))
    except TypeError as error:
        raise CheckpointError(f"{file.path} is damaged: {error}") from error
    sound = (
        tuple(inputs.shape[1:]) == problem.shape
        and inputs.is_floating_point()
        and labels.dtype == torch.long
        and labels.ndim == 1
        and len(labels) in (0, len(inputs))
        and len(items) in (0, len(labels))
        and not ((labels < 0) | (labels >= max(ways, 1))).any()
    )
    if not sound:
        raise CheckpointError(f"{file.path} is damaged: its support set is none")
    return Samples(inputs.clone(), labels.clone()), items


def _require_prediction(model: AdaptedModel, path: Path) -> None:
    """Raise CheckpointError unless one input can be predicted: what was adapted is the
    algorithm's own, and only it knows what it needs."""
    problem, network = model.learner.problem, model.learner.network
    needed = bytes_per_input(network, problem.shape)
    if needed > LARGEST_ACTIVATION:
        raise CheckpointError(
            f"{path}: one input of shape {problem.shape} would take {needed >> 20} MiB "
            f"in its network, at most {LARGEST_ACTIVATION >> 20} are allowed"
        )
    encoder = model.encoder
    if encoder is not None and tuple(encoder.shape) != problem.shape:
        raise CheckpointError(
            f"{path} is damaged: its encoder makes inputs of shape {encoder.shape}, "
            f"and it learned on {problem.shape}"
        )
    kept = model.support.inputs[:1].cpu()
    if not len(kept):
        kept = (
            torch.zeros(1, *problem.shape) if encoder is None else encoder.examples(1)
        )
    try:
        found = model.outputs(kept)
    except MetapipeError:
        raise
    except Exception as error:  # whatever wrong tensors lead to in anybody's code
        reason = one_line(f"{type(error).__name__}: {error}")
        raise CheckpointError(
            f"{path} is damaged: nothing can be predicted by it: {reason:.200}"
        ) from error
    if found.shape != (1, model.width):
        raise CheckpointError(
            f"{path} is damaged: it predicts {tuple(found.shape)} where (1, "
            f"{model.width}) is told"
        )


def _check_header(
    origin: ModelOrigin, problem: Problem, classes: Sequence[str]
) -> None:
    """Raise ValueError for what no header of ours says."""
    names = (origin.algorithm, origin.model)
    tables = (origin.settings["algorithm"], origin.settings["model"])
    if not all(isinstance(name, str) and is_name(name) for name in names):
        raise ValueError(f"no plugins are called {reprlib.repr(names)}")
    if not all(isinstance(table, dict) for table in tables):
        raise ValueError("the settings of its plugins are no tables")
    if not all(isinstance(text, str) for text in origin.plugins.values()):
        raise ValueError("where its plugins are from is no text")
    count = type(problem.outputs) is int and problem.outputs > 0
    if problem.kind not in get_args(Kind) or not count:
        raise ValueError(
            f"no problem is {problem.kind!r:.40} with {problem.outputs} outputs"
        )
    if any(side < 1 for side in problem.shape) or math.prod(problem.shape) > LARGEST:
        raise ValueError(f"no input has the shape {reprlib.repr(problem.shape)}")
    wanted = 2 if problem.kind == "classification" else 0
    if len(set(classes)) < len(classes) or len(classes) < wanted:
        raise ValueError(f"its classes are {reprlib.repr(classes)}")
