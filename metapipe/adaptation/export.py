"""An adapted model for deployment: a torch.export program, or ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.feature_encoder import FeatureEncoder
from ..data.image_encoder import ImageEncoder
from ..errors import UnsupportedError
from .adapted_file import header_of
from .adapted_model import AdaptedModel
from .card import KEY, card_of
from .prediction_sets import threshold
from .program import Program, Traceable, as_onnx, as_program

EXAMPLES = 16
"""Inputs on which the exported model is compared with ours."""


@dataclass(frozen=True)
class Exported:
    """What a file takes and gives, and how near it is to ours."""

    takes: tuple[int, ...]
    """Shape of one input."""

    width: int | None
    """Length of the vectors that it gives beside the predictions, with a backbone."""

    lacks: str
    """Of which backbone it takes vectors, if it does not have that."""

    difference: float
    """The largest that was found."""


class Predictor(nn.Module):
    """Inputs (n, *shape) -> probabilities (n, ways), or numbers (n, outputs); beside
    them, with the network of a backbone, vectors (n, d) of pictures (n, C, H, W); and
    the typicality (n,) where that can be known.
    """

    def __init__(
        self, adapted: AdaptedModel, backbone: nn.Module | None = None
    ) -> None:
        super().__init__()
        self._adapted, self._backbone = adapted, backbone
        self._temperature = adapted.temperature
        trust = adapted.trust
        typical = None if trust is None else trust.typicality
        self._typical = None if typical is None else typical.single()

    @property
    def gives(self) -> list[str]:
        """Names of its outputs."""
        names = ["probabilities" if self._adapted.classes else "predictions"]
        names += ["vectors"] if self._backbone is not None else []
        return names + (["typicality"] if self._typical is not None else [])

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Each input on its own."""
        found = []
        if self._backbone is None:
            inputs = _as_learned(self._adapted, inputs)
        else:
            inputs = self._backbone(inputs)
            found.append(inputs)
        if self._typical is not None:
            found.append(self._typical.of(self._adapted.features_of(inputs)))
        predicted = self._predicted(inputs)
        return (predicted, *found) if found else predicted

    def _predicted(self, inputs: Tensor) -> Tensor:
        adapted = self._adapted
        learner = adapted.learner
        outputs = learner.algorithm.predict(
            learner.network, adapted.meta, adapted.params, inputs
        )
        if not adapted.classes:
            return outputs
        return (outputs / self._temperature).softmax(-1)


def export_program(adapted: AdaptedModel, path: Path) -> Exported:
    """Write a torch.export program; its extra files have the card.

    Raises UnsupportedError if the predictor cannot be exported, and WriteError.
    """
    return _export(adapted, path, as_program)


def export_onnx(adapted: AdaptedModel, path: Path) -> Exported:
    """Write an ONNX file, and run it by onnxruntime; its metadata have the card.

    Raises UnsupportedError if the predictor cannot be exported, or the packages for it
    are not installed.
    """
    return _export(adapted, path, as_onnx)


def _export(
    adapted: AdaptedModel,
    path: Path,
    convert: Callable[[Traceable, Mapping[str, str]], Program],
) -> Exported:
    backbone = _backbone(adapted)
    program = convert(_traceable(adapted, backbone), _metadata(adapted, backbone))
    exported = _checked(adapted, backbone, program)
    program.write(path)
    return exported


def _backbone(adapted: AdaptedModel) -> nn.Module | None:
    """The network that makes vectors of pictures, if that is one of torch's."""
    if not isinstance(adapted.encoder, FeatureEncoder):
        return None
    adapted.encoder.check()
    network = adapted.encoder.network()
    return network if isinstance(network, nn.Module) else None


def _metadata(adapted: AdaptedModel, backbone: nn.Module | None) -> dict[str, str]:
    """What whoever runs the file has to know."""
    header = header_of(adapted) | {"carries_weights": backbone is not None}
    facts = {
        "classes": json.dumps(adapted.classes),
        KEY: card_of(header).model_dump_json(),
    }
    if adapted.trust is not None:
        least = threshold(adapted.trust.right)
        facts["calibrated"] = "yes"
        if least is not None:
            facts["set_threshold"] = repr(least)
    if adapted.origin.licence:
        facts["licence"] = adapted.origin.licence
    if adapted.origin.backbone:
        facts["backbone"] = adapted.origin.backbone
    if isinstance(adapted.encoder, FeatureEncoder):
        facts["pictures"] = adapted.encoder.image.model_dump_json()
    return facts


def _traceable(adapted: AdaptedModel, backbone: nn.Module | None) -> Traceable:
    if adapted.learner.normalises_batches:
        raise UnsupportedError(
            f"{adapted.origin.algorithm} predicts with the statistics of a batch, "
            "which a deployed model does not have: use metapipe predict, or train a "
            "method with running statistics, as 'metapipe plugins show' tells"
        )
    predictor = Predictor(adapted, backbone)
    takes = ["inputs" if backbone is None else "pictures"]
    examples = (_examples(adapted, backbone, 2),)
    return Traceable(predictor, examples, takes, predictor.gives)


def _examples(adapted: AdaptedModel, backbone: nn.Module | None, count: int) -> Tensor:
    """(count, *shape): inputs of the kind that the file gets; images in [0, 1]. Where
    nobody tells how they are made, of the shape, and standard normal."""
    encoder = adapted.encoder
    if backbone is not None:
        assert isinstance(encoder, FeatureEncoder)
        return encoder.image.examples(count)
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


def _checked(
    adapted: AdaptedModel, backbone: nn.Module | None, program: Program
) -> Exported:
    """The file beside ours on examples, of which there is another number than in the
    one traced. Raises UnsupportedError if it does not give our model's outputs."""
    inputs = _examples(adapted, backbone, EXAMPLES)
    with torch.no_grad():
        vectors = _as_learned(adapted, inputs) if backbone is None else backbone(inputs)
    wanted = [
        adapted.probabilities(vectors) if adapted.classes else adapted.outputs(vectors)
    ]
    wanted += [] if backbone is None else [vectors]
    typicality = adapted.typicality(vectors)
    wanted += [] if typicality is None else [typicality]
    return Exported(
        takes=tuple(inputs.shape[1:]),
        width=None if backbone is None else vectors.shape[1],
        lacks=(backbone is None and adapted.origin.backbone) or "",
        difference=program.apart(wanted, inputs),
    )
