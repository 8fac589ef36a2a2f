"""An adapted model for deployment: a torch.export program, or ONNX."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.feature_encoder import FeatureEncoder
from ..data.image_encoder import ImageEncoder
from ..errors import UnsupportedError
from ..whole_file import whole_file
from .adapted_file import header_of
from .adapted_model import AdaptedModel
from .card import KEY, card_of
from .prediction_sets import threshold

CLOSE = 1e-4
"""How far probabilities of the exported model may be from ours."""

EXAMPLES = 16
"""Inputs on which the exported model is compared with ours."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")


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
    backbone = _backbone(adapted)
    program = _program(adapted, backbone)
    content = BytesIO()
    torch.export.save(program, content, extra_files=_metadata(adapted))
    content.seek(0)
    loaded = torch.export.load(content).module()

    def run(inputs: Tensor) -> list[Tensor]:
        found = loaded(inputs)
        return [found] if isinstance(found, Tensor) else list(found)

    exported = _checked(adapted, backbone, run)
    with whole_file(path) as file:
        file.write(content.getbuffer())
    return exported


def export_onnx(adapted: AdaptedModel, path: Path) -> Exported:
    """Write an ONNX file, and run it by onnxruntime; its metadata have the card.

    Raises UnsupportedError if the predictor cannot be exported, or the packages for it
    are not installed.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UnsupportedError(
            f"--onnx needs {', '.join(missing)}: pip install 'metapipe[onnx]', or use "
            "--torch FILE"
        )
    import onnxruntime

    backbone = _backbone(adapted)
    content = _onnx(adapted, backbone, _metadata(adapted))
    session = onnxruntime.InferenceSession(content)
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> list[Tensor]:
        return list(map(torch.from_numpy, session.run(None, {name: inputs.numpy()})))

    exported = _checked(adapted, backbone, run)
    with whole_file(path) as file:
        file.write(content)
    return exported


def _onnx(
    adapted: AdaptedModel, backbone: nn.Module | None, facts: Mapping[str, str]
) -> bytes:
    program = _program(adapted, backbone)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=["inputs" if backbone is None else "pictures"],
                output_names=Predictor(adapted, backbone).gives,
            )
            assert exported is not None
            model = exported.model_proto
            _name_the_queries(model.graph)
            for key, value in facts.items():
                model.metadata_props.add(key=key, value=value)
            content: bytes = model.SerializeToString()
        except Exception as error:  # whatever a converter meets
            raise UnsupportedError(_cannot("ONNX", error)) from error
    return content


def _name_the_queries(graph: Any) -> None:
    """Call the free axis, to which tracing gives a name like `s85`, what it counts."""
    free = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                named = re.sub(rf"\b{re.escape(free)}\b", "queries", axis.dim_param)
                axis.dim_param = named


def _backbone(adapted: AdaptedModel) -> nn.Module | None:
    """The network that makes vectors of pictures, if that is one of torch's."""
    if not isinstance(adapted.encoder, FeatureEncoder):
        return None
    adapted.encoder.check()
    network = adapted.encoder.network()
    return network if isinstance(network, nn.Module) else None


def _metadata(adapted: AdaptedModel) -> dict[str, str]:
    """What whoever runs the file has to know."""
    facts = {
        "classes": json.dumps(adapted.classes),
        KEY: card_of(header_of(adapted)).model_dump_json(),
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


def _program(adapted: AdaptedModel, backbone: nn.Module | None) -> Any:
    if adapted.learner.normalises_batches:
        raise UnsupportedError(
            f"{adapted.origin.algorithm} predicts with the statistics of a batch, "
            "which a deployed model does not have: use metapipe predict, or train a "
            "method with running statistics, as 'metapipe plugins show' tells"
        )
    example = _examples(adapted, backbone, 2)
    batch = torch.export.Dim("n")
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(
                Predictor(adapted, backbone).eval(),
                (example,),
                dynamic_shapes=({0: batch},),
                strict=False,
            )
    except Exception as error:  # whatever tracing meets in anybody's algorithm
        raise UnsupportedError(_cannot("torch.export", error)) from error


def _cannot(what: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{what} cannot take this predictor: {type(error).__name__}: {text}"


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
    adapted: AdaptedModel,
    backbone: nn.Module | None,
    run: Callable[[Tensor], list[Tensor]],
) -> Exported:
    """The file beside ours on examples, of which there is another number than in the
    one traced. Raises UnsupportedError if it does not give our model's outputs."""
    inputs = _examples(adapted, backbone, EXAMPLES)
    with torch.no_grad():
        found = run(inputs)
        vectors = _as_learned(adapted, inputs) if backbone is None else backbone(inputs)
    wanted = [
        adapted.probabilities(vectors) if adapted.classes else adapted.outputs(vectors)
    ]
    wanted += [] if backbone is None else [vectors]
    typicality = adapted.typicality(vectors)
    wanted += [] if typicality is None else [typicality]
    differences = list(map(_apart, found, wanted))
    for difference in differences:
        if not difference <= CLOSE:  # nor a number
            raise UnsupportedError(
                f"the exported model differs from ours by {difference:.2g}: not kept"
            )
    return Exported(
        takes=tuple(inputs.shape[1:]),
        width=None if backbone is None else vectors.shape[1],
        lacks=(backbone is None and adapted.origin.backbone) or "",
        difference=max(differences),
    )


def _apart(found: Tensor, wanted: Tensor) -> float:
    """The largest difference; of large numbers, as a share of the largest."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1))
