"""An adapted model for deployment: a torch.export program, or ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, UnsupportedError
from .adapted_model import AdaptedModel

CLOSE = 1e-4
"""How far probabilities of the exported model may be from ours."""

EXAMPLES = 16
"""Inputs on which the exported model is compared with ours."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")


class Predictor(nn.Module):
    """Inputs (n, *shape) -> probabilities (n, ways), or numbers (n, outputs)."""

    def __init__(self, adapted: AdaptedModel) -> None:
        super().__init__()
        self._adapted = adapted

    def forward(self, inputs: Tensor) -> Tensor:
        """Each input on its own."""
        adapted = self._adapted
        learner = adapted.learner
        outputs = learner.algorithm.predict(
            learner.network, adapted.meta, adapted.params, inputs
        )
        return outputs.softmax(-1) if adapted.classes else outputs


def export_program(adapted: AdaptedModel, path: Path) -> float:
    """Write a torch.export program; returns the largest difference from our output.

    Raises UnsupportedError if the predictor cannot be exported.
    """
    program = _program(adapted)
    with _writing(path):
        torch.export.save(program, path)
    loaded = torch.export.load(path).module()
    return _checked(adapted, lambda inputs: loaded(inputs), path)


def export_onnx(adapted: AdaptedModel, path: Path) -> float:
    """Write an ONNX file, run it by onnxruntime, and return the largest difference.

    Raises UnsupportedError if the predictor cannot be exported, or the packages for it
    are not installed.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UnsupportedError(
            f"--onnx needs {', '.join(missing)}: pip install 'metapipe[onnx]', or use "
            "--torch FILE"
        )
    import onnxruntime

    program = _program(adapted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            exported = torch.onnx.export(program, dynamo=True, verbose=False)
        except Exception as error:  # whatever a converter meets
            raise UnsupportedError(_cannot("ONNX", error)) from error
    assert exported is not None
    with _writing(path):
        exported.save(str(path))
    session = onnxruntime.InferenceSession(str(path))
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: inputs.numpy()})[0])

    return _checked(adapted, run, path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the folder; what goes wrong is a CheckpointError with the file's name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise CheckpointError(f"cannot write {path}: {reason}") from error


def _program(adapted: AdaptedModel) -> Any:
    if adapted.learner.normalises_batches:
        raise UnsupportedError(
            f"{adapted.origin.algorithm} predicts with the statistics of a batch, "
            "which a deployed model does not have: use metapipe predict, or train a "
            "method with running statistics, as 'metapipe plugins show' tells"
        )
    example = _examples(adapted, 2)
    batch = torch.export.Dim("n")
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(
                Predictor(adapted).eval(),
                (example,),
                dynamic_shapes=({0: batch},),
                strict=False,
            )
    except Exception as error:  # whatever tracing meets in anybody's algorithm
        raise UnsupportedError(_cannot("torch.export", error)) from error


def _cannot(what: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{what} cannot take this predictor: {type(error).__name__}: {text}"


def _examples(adapted: AdaptedModel, count: int) -> Tensor:
    """(count, *shape): inputs of the kind that the model gets. Where nobody tells how
    they are made, of the shape, and standard normal."""
    if adapted.encoder is not None:
        return adapted.encoder.examples(count)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *adapted.learner.problem.shape, generator=generator)


def _checked(adapted: AdaptedModel, run: Any, path: Path) -> float:
    """The largest difference over examples, of which there is another number than in
    the one traced; the file is removed if it is not that of our model."""
    inputs = _examples(adapted, EXAMPLES)
    with torch.no_grad():
        found = run(inputs)
    ours = adapted.outputs(inputs)
    wanted = ours.softmax(-1) if adapted.classes else ours
    difference = float((found - wanted).abs().max())
    if not difference <= CLOSE:  # nor a number
        path.unlink(missing_ok=True)
        raise UnsupportedError(
            f"the exported model differs from ours by {difference:.2g}: not kept"
        )
    return difference
