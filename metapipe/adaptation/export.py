"""An adapted model for deployment: a torch.export program, or ONNX."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.image_encoder import ImageEncoder
from ..errors import UnsupportedError
from ..whole_file import whole_file
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
            learner.network, adapted.meta, adapted.params, _as_learned(adapted, inputs)
        )
        return outputs.softmax(-1) if adapted.classes else outputs


def export_program(adapted: AdaptedModel, path: Path) -> float:
    """Write a torch.export program; returns the largest difference from our output.

    Raises UnsupportedError if the predictor cannot be exported, and WriteError.
    """
    program = _program(adapted)
    content = BytesIO()
    torch.export.save(program, content)
    content.seek(0)
    loaded = torch.export.load(content).module()
    difference = _checked(adapted, lambda inputs: loaded(inputs))
    with whole_file(path) as file:
        file.write(content.getbuffer())
    return difference


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
            assert exported is not None
            content = exported.model_proto.SerializeToString()
        except Exception as error:  # whatever a converter meets
            raise UnsupportedError(_cannot("ONNX", error)) from error
    session = onnxruntime.InferenceSession(content)
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: inputs.numpy()})[0])

    difference = _checked(adapted, run)
    with whole_file(path) as file:
        file.write(content)
    return difference


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
    """(count, *shape): inputs of the kind that the model gets; images in [0, 1]. Where
    nobody tells how they are made, of the shape, and standard normal."""
    encoder = adapted.encoder
    if isinstance(encoder, ImageEncoder):
        encoder = encoder.model_copy(update={"moments": None})
    if encoder is not None:
        return encoder.examples(count)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *adapted.learner.problem.shape, generator=generator)


def _as_learned(adapted: AdaptedModel, inputs: Tensor) -> Tensor:
    """Images in [0, 1], which an exported model takes, normalised as they were for the
    learner; other inputs as they are."""
    encoder = adapted.encoder
    if isinstance(encoder, ImageEncoder) and encoder.moments is not None:
        return encoder.moments.normalised(inputs)
    return inputs


def _checked(adapted: AdaptedModel, run: Any) -> float:
    """The largest difference over examples, of which there is another number than in
    the one traced. Raises UnsupportedError if it is not our model's output."""
    inputs = _examples(adapted, EXAMPLES)
    with torch.no_grad():
        found = run(inputs)
    ours = adapted.outputs(_as_learned(adapted, inputs))
    wanted = ours.softmax(-1) if adapted.classes else ours
    difference = float((found - wanted).abs().max())
    if not difference <= CLOSE:  # nor a number
        raise UnsupportedError(
            f"the exported model differs from ours by {difference:.2g}: not kept"
        )
    return difference
