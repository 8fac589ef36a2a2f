"""Any network of pictures in an ONNX file of yours, run by onnxruntime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from metapipe import Backbone, DataError, Register, RegisterEncoder, hookimpl
from metapipe.data import FeatureEncoder, Fit, ImageEncoder, one_line

NAME = "onnx"
INSTALL = "pip install 'metapipe[onnx]'"

VERSION = 1
"""Of the computation: another one makes other vectors of the same file."""

SIZE = 224
"""Of a file that takes any."""

Channels = tuple[float, float, float]


class OnnxEncoder(FeatureEncoder):
    """A picture as the vector that a file gives of it."""

    type: Literal["onnx"] = "onnx"
    file: str
    """Where the file is."""

    output: str
    mean: Channels
    std: Channels

    def digest(self) -> str:
        """SHA-256 of file, settings and version."""
        return self.hash_of(_sha256(self.file), VERSION, places=["file"])

    def network(self) -> Callable[[Tensor], Tensor]:
        """It runs the file."""
        session = _session(self.file, _sha256(self.file))
        name = session.get_inputs()[0].name
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))

        def run(pictures: Tensor) -> Tensor:
            given = {name: ((pictures - mean) / std).numpy()}
            try:
                (found,) = session.run([self.output], given)
            except Exception as error:  # onnxruntime has kinds of its own
                raise DataError(f"{self.file} fails: {_reason(error)}") from error
            vectors = torch.from_numpy(np.array(found, np.float32))
            if vectors.ndim != 2 or len(vectors) != len(pictures):
                raise DataError(
                    f"{self.file} gives {tuple(vectors.shape)} of a picture where "
                    f"(1, d) is wanted, as '{self.output}'"
                )
            return vectors

        return run


class OnnxFile(Backbone):
    """Pictures as vectors of a network (n, 3, h, w) -> (n, d) in an ONNX file."""

    licence: ClassVar[str] = "that of the file"
    source: ClassVar[str] = "an ONNX file of your own"
    install: ClassVar[str] = INSTALL

    file: Path | None = None
    """Where the file is."""

    size: int | None = Field(default=None, ge=8, le=1024)
    """Height and width that a picture is brought to, in pixels: what the file says, and
    224 if it takes any."""

    output: str | None = None
    """Which of its outputs the vectors are, if there are several."""

    mean: Channels = (0.0, 0.0, 0.0)
    """Taken from each channel of pixels in [0, 1]; networks that learned ImageNet often
    want 0.485, 0.456, 0.406."""

    std: Channels = (1.0, 1.0, 1.0)
    """What is left is divided by this; there, often 0.229, 0.224, 0.225."""

    fit: Fit = "crop"
    """What is done to other aspect ratios: cut out the middle, stretch, or pad."""

    def encoder(self) -> OnnxEncoder:
        """Of colour pictures, with the hash of file, settings and version.

        Raises DataError for a file that is no such network.
        """
        if self.file is None:
            raise DataError(f"{NAME} needs a file: -s backbone.file=PATH")
        if 0 in self.std:
            raise DataError(f"{NAME}: pixels cannot be divided by std = {self.std}")
        where = str(self.file.expanduser().resolve())
        session = _session(where, _sha256(where))
        height, width = _sides(where, session, self.size)
        fields = {
            "image": ImageEncoder(height=height, width=width, channels=3, fit=self.fit),
            "file": where,
            "output": _output(where, session, self.output),
            "mean": self.mean,
            "std": self.std,
        }
        trial = OnnxEncoder(**fields, width=1, sha256="")
        vectors = trial.network()(torch.zeros(1, 3, height, width))
        return OnnxEncoder.of(**fields, width=vectors.shape[1])


def _sides(file: str, session: Any, size: int | None) -> tuple[int, int]:
    """Height and width of the pictures that it takes."""
    inputs = session.get_inputs()
    wanted = "one input (n, 3, h, w) of float32 is wanted"
    if len(inputs) != 1:
        raise DataError(f"{file} has {len(inputs)} inputs: {wanted}")
    shape, kind = inputs[0].shape, inputs[0].type
    fixed = [side if isinstance(side, int) else None for side in shape]
    free = (None, 1), (None, 3)
    fits = len(shape) == 4 and all(
        side in may for side, may in zip(fixed[:2], free, strict=True)
    )
    if not fits or kind != "tensor(float)":
        shown = ", ".join(map(str, shape))
        raise DataError(f"{file} takes ({shown}) of {kind}: {wanted}")
    height, width = (side or size or SIZE for side in fixed[2:])
    if size is not None and (height, width) != (size, size):
        raise DataError(
            f"{file} takes pictures of {height} x {width}: leave backbone.size out"
        )
    return height, width


def _output(file: str, session: Any, name: str | None) -> str:
    """The name of the output that vectors are taken from."""
    names = [output.name for output in session.get_outputs()]
    if name is None and len(names) > 1:
        raise DataError(
            f"{file} has several outputs: choose one by -s backbone.output=NAME, of "
            f"{', '.join(names)}"
        )
    if name is not None and name not in names:
        raise DataError(f"{file} has no output '{name}', but {', '.join(names)}")
    return name or names[0]


@lru_cache(2)
def _session(file: str, _: str) -> Any:
    """The file opened, whose hash is part of the key."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(f"{NAME} needs onnxruntime: {INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1  # for one picture at a time
    try:
        return onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has kinds of its own
        raise DataError(
            f"{file} is no ONNX file that runs: {_reason(error)}"
        ) from error


@lru_cache(8)
def _sha256(file: str) -> str:
    try:
        with Path(file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error


def _reason(error: Exception) -> str:
    return one_line(error)[:200]


@hookimpl
def register_encoders(register: RegisterEncoder) -> None:
    """Offer the encoder."""
    register(NAME, OnnxEncoder)


@hookimpl
def register_backbones(register: Register) -> None:
    """Offer files."""
    register(NAME, OnnxFile)
