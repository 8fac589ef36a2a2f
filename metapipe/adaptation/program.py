"""A module as a file for deployment: a torch.export program, or ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnsupportedError
from ..printable import one_line
from ..whole_file import whole_file

NEEDED = ("onnx", "onnxscript", "onnxruntime")

CLOSE = 1e-4
"""How far outputs of a file may be from ours."""


@dataclass(frozen=True)
class Traceable:
    """A module that takes batches, of any number n."""

    module: nn.Module
    examples: tuple[Tensor, ...]
    """What it takes, (n, ...) each."""

    takes: Sequence[str]
    """Names of what it takes."""

    gives: Sequence[str]
    """Names of its outputs."""

    @property
    def batched(self) -> Any:
        """That the first axis of each is of any length, for torch.export."""
        return (tuple({0: torch.export.Dim("n")} for _ in self.examples),)


@dataclass(frozen=True)
class Program:
    """What is in a file, and what it gives."""

    content: bytes
    run: Callable[..., list[Tensor]]

    def apart(self, wanted: Sequence[Tensor], *inputs: Tensor) -> float:
        """The largest difference of its outputs from the wanted ones; of large numbers,
        as a share of the largest. Raises UnsupportedError if that is not small."""
        with torch.no_grad():
            found = self.run(*inputs)
        differences = list(map(_apart, found, wanted))
        for difference in differences:
            if not difference <= CLOSE:  # nor a number
                raise UnsupportedError(
                    f"the exported model differs from ours by {difference:.2g}: not "
                    "kept"
                )
        return max(differences)

    def write(self, path: Path) -> None:
        """To a file, whole or not at all."""
        with whole_file(path) as file:
            file.write(self.content)


def as_program(traceable: Traceable, facts: Mapping[str, str]) -> Program:
    """A torch.export program, with facts in its extra files. Raises UnsupportedError
    for what cannot be traced."""
    content, traced = BytesIO(), _traced(traceable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions complain of their own buffers
        torch.export.save(traced, content, extra_files=dict(facts))
        content.seek(0)
        loaded = torch.export.load(content).module()

    def run(*inputs: Tensor) -> list[Tensor]:
        found = loaded(*inputs)
        return [found] if isinstance(found, Tensor) else list(found)

    return Program(content.getvalue(), run)


def as_onnx(traceable: Traceable, facts: Mapping[str, str]) -> Program:
    """An ONNX file, with facts in its metadata, that onnxruntime runs.

    Raises UnsupportedError for what cannot be converted, or if the packages for it are
    not installed.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UnsupportedError(
            f"--onnx needs {', '.join(missing)}: pip install 'metapipe[onnx]', or use "
            "--torch FILE"
        )
    import onnxruntime

    content = _converted(traceable, facts)
    session = onnxruntime.InferenceSession(content)
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return list(map(torch.from_numpy, session.run(None, given)))

    return Program(content, run)


def _converted(traceable: Traceable, facts: Mapping[str, str]) -> bytes:
    program = _traced(traceable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=list(traceable.takes),
                output_names=list(traceable.gives),
                dynamic_shapes=traceable.batched,
            )
            assert exported is not None
            model = exported.model_proto
            for key, value in facts.items():
                model.metadata_props.add(key=key, value=value)
            content: bytes = model.SerializeToString()
        except Exception as error:  # whatever a converter meets
            raise UnsupportedError(_cannot("ONNX", error)) from error
    return content


class _Any(nn.Module):
    """A module, whatever its inputs are called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        """As the module's."""
        return self.module(*inputs)


def _traced(traceable: Traceable) -> Any:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(
                _Any(traceable.module).eval(),
                traceable.examples,
                dynamic_shapes=traceable.batched,
                strict=False,
            )
    except Exception as error:  # whatever tracing meets in anybody's algorithm
        raise UnsupportedError(_cannot("torch.export", error)) from error


def _cannot(what: str, error: Exception) -> str:
    text = one_line(error)[:200]
    return f"{what} cannot take this predictor: {type(error).__name__}: {text}"


def _apart(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1))
