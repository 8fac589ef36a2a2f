"""A learner that has learned one task: all that predicting takes, in memory or a file.

The file has the format of a checkpoint. Opening it needs neither store nor data; no
code is read from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from ..algorithm import Meta
from ..data.encoders import encoder_from
from ..encoder import Encoder
from ..episode import Params, Samples
from ..errors import CheckpointError, UnsupportedError
from ..experiment.registry import Registry
from ..problem import Kind, Problem
from ..training.device import choose_device
from ..training.evaluation import QueryMode, predict
from ..training.learner import Learner, constants_of
from ..training.stored_learner import open_learner
from ..training.tensor_file import read_tensors, write_tensors

BATCH = 256
"""Inputs predicted at a time."""

LARGEST = 2**26
"""Numbers in an input that a file may claim."""


@dataclass(frozen=True)
class ModelOrigin:
    """Where an adapted learner comes from."""

    algorithm: str
    model: str
    settings: Mapping[str, Any]
    """Of `algorithm` and of `model`."""

    run: str
    """Of which run it was adapted, for people."""

    plugins: Mapping[str, str]
    """Distribution and version of each."""

    backbone: str | None = None
    """Whose vectors it takes, as NAME@HASH; its settings are with the others."""


@dataclass(frozen=True)
class AdaptedModel:
    """A learner that has learned one task."""

    learner: Learner
    meta: Meta
    params: Params
    """What `Algorithm.adapt` found."""

    support: Samples
    classes: tuple[str, ...]
    """Names by label; empty for regression."""

    encoder: Encoder | None
    origin: ModelOrigin

    def outputs(self, inputs: Tensor, prediction: QueryMode = "alone") -> Tensor:
        """Logits (m, ways), or numbers (m, outputs), of inputs (m, *shape).

        Alone, a prediction does not depend on what else is asked; `together`, all
        inputs are one batch, as the queries of an episode are.
        """
        expected = self.learner.problem.shape
        if tuple(inputs.shape[1:]) != expected:
            raise UnsupportedError(
                f"inputs have the shape {tuple(inputs.shape[1:])}, and the model takes "
                f"{expected}"
            )
        if not len(inputs):
            return inputs.new_empty(
                0, len(self.classes) or self.learner.problem.outputs
            )
        size = len(inputs) if prediction == "together" else BATCH
        with torch.no_grad():
            parts = [
                predict(
                    self.learner,
                    self.meta,
                    self.params,
                    self.support,
                    part.to(self.learner.device),
                    prediction,
                ).cpu()
                for part in torch.split(inputs, size)
            ]
        return torch.cat(parts)

    def probabilities(self, inputs: Tensor, prediction: QueryMode = "alone") -> Tensor:
        """(m, ways): the softmax of the outputs."""
        return self.outputs(inputs, prediction).double().softmax(-1)


def adapt(
    learner: Learner,
    meta: Meta,
    support: Samples,
    classes: Sequence[str],
    encoder: Encoder | None,
    origin: ModelOrigin,
) -> AdaptedModel:
    """Learn a task from its support set: inputs (n, *shape), targets (n,) or (n, k).

    Raises UnsupportedError if the algorithm cannot do that many classes.
    """
    trained = learner.problem
    asked = trained
    if classes:
        asked = replace(trained, outputs=len(classes))
    learner.algorithm.check(trained, asked)
    support = Samples(*(tensor.to(learner.device) for tensor in support))
    with torch.no_grad():
        params = learner.algorithm.adapt(
            learner.network, meta, support, max(len(classes), 1)
        )
    return AdaptedModel(learner, meta, params, support, tuple(classes), encoder, origin)


def save(adapted: AdaptedModel, path: Path) -> str:
    """Write one file; returns its SHA-256. Raises WriteError if it cannot be
    written."""
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
    if adapted.learner.normalises_batches:  # a prediction needs the batch it is one of
        found["support"] = adapted.support.inputs.cpu()
    header = {
        "problem": asdict(adapted.learner.problem),
        "classes": adapted.classes,
        "encoder": adapted.encoder and adapted.encoder.model_dump(mode="json"),
        "origin": asdict(adapted.origin),
    }
    return write_tensors(path, "adapted", found, header)


def load(path: Path, registry: Registry, device: str = "auto") -> AdaptedModel:
    """Read what `save` wrote.

    Raises CheckpointError for a file that is missing, damaged or not ours, and
    UnknownNameError if it needs a plugin that is not installed.
    """
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
        encoder = encoder_from(record, registry.encoders) if record else None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} has a damaged header: {reason}") from error
    learner, meta = open_learner(
        registry.create("algorithm", origin.algorithm, algorithm),
        registry.create("model", origin.model, model),
        problem,
        device,
        file,
    )
    inputs = file.tensors.get("support", torch.empty(0, *problem.shape)).to(device)
    if learner.normalises_batches and not len(inputs):
        raise CheckpointError(f"{path} is damaged: it lacks the support set")
    labels = torch.empty(0, dtype=torch.long)
    support = Samples(inputs, labels)
    adapted = file.group("adapted", device)
    return AdaptedModel(learner, meta, adapted, support, classes, encoder, origin)


def _check_header(
    origin: ModelOrigin, problem: Problem, classes: Sequence[str]
) -> None:
    """Raise ValueError for what no header of ours says."""
    names = (origin.algorithm, origin.model)
    tables = (origin.settings["algorithm"], origin.settings["model"])
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"no plugins are called {names}")
    if not all(isinstance(table, dict) for table in tables):
        raise ValueError("the settings of its plugins are no tables")
    if problem.kind not in get_args(Kind) or problem.outputs < 1:
        raise ValueError(f"no problem is {problem.kind} with {problem.outputs} outputs")
    if any(side < 1 for side in problem.shape) or math.prod(problem.shape) > LARGEST:
        raise ValueError(f"no input has the shape {problem.shape}")
    wanted = 2 if problem.kind == "classification" else 0
    if len(set(classes)) < len(classes) or len(classes) < wanted:
        raise ValueError(f"its classes are {list(classes)}")
