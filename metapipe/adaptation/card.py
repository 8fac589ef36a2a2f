"""The card of an adapted model: what it knows, where it comes from, how good it is."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import CheckpointError, UnsupportedError
from ..printable import one_line
from ..training.tensor_file import read_tensors

KEY = "metapipe.card"
"""Of the card among the metadata of an ONNX file, and the extra files of a program."""

LARGEST = 2**24
"""Bytes of a card, which has the name of every class."""

NOT_FOR = {
    "classification": (
        "things that are of none of its classes: it names one of them all the same",
        "examples of another kind than it learned from: another camera, place or time",
    ),
    "regression": ("inputs far from those it learned from",),
}
"""By the kind of problem."""

HARM = "decisions about people, or that may do harm, before it was tested for them"


class Part(BaseModel):
    """A part of a card; what a newer metapipe tells beside it is passed over."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class BackboneFacts(Part):
    """Whose vectors a model takes."""

    name: str
    sha256: str
    licence: str | None = None
    source: str | None = None
    carried: bool = False
    """Whether the file has the weights."""


class Judged(Part):
    """How good a model was found to be."""

    by: str
    """By what: `query`, `support`, which is no test, or `held-out`."""

    count: int
    loss: float | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None


class Card(Part):
    """What is told of an adapted model; None is what an older file does not tell."""

    created: str | None
    metapipe: str | None
    """The version of it."""

    classes: Mapping[str, int | None]
    """Numbers of examples; empty for a regression."""

    learned_by: str
    algorithm: str
    model: str
    backbone: BackboneFacts | None
    takes: str | None
    """The type of its encoder."""

    judged: Judged | None
    settings: Mapping[str, Mapping[str, Any]]
    plugins: Mapping[str, str]
    not_for: tuple[str, ...]


def card_of(header: Mapping[str, Any]) -> Card:
    """The card of an adapted model, from the header of its file. Raises LookupError,
    TypeError, AttributeError or ValueError for one that is damaged."""
    origin, encoder = header["origin"], header["encoder"] or {}
    frozen = "sha256" in encoder  # or a run learned on vectors of it
    backbone = {
        "name": (origin.get("backbone") or encoder.get("type", "")).partition("@")[0],
        "sha256": encoder.get("sha256"),
        "licence": origin.get("licence"),
        "source": origin.get("source"),
        "carried": header.get("carries_weights", False),
    }
    found = {
        "created": origin.get("created"),
        "metapipe": origin.get("version"),
        "classes": header.get("counts") or dict.fromkeys(header["classes"]),
        "learned_by": origin["run"],
        "algorithm": origin["algorithm"],
        "model": origin["model"],
        "backbone": backbone if frozen else None,
        "takes": encoder.get("type"),
        "judged": header.get("judged"),
        "settings": origin["settings"],
        "plugins": origin["plugins"],
        "not_for": (*NOT_FOR[header["problem"]["kind"]], HARM),
    }
    return Card.model_validate(found)


def read_card(path: Path) -> Card | dict[str, Any]:
    """The card of an adapted model, or of an ONNX file or a program of torch.export
    that metapipe wrote; or the facts of a checkpoint of a run.

    Needs no plugin and no weights. Raises CheckpointError for another file, and
    UnsupportedError if reading ONNX is not installed.
    """
    if path.suffix.lower() == ".onnx":
        return _of_onnx(path)
    if is_zipfile(path):
        return _of_program(path)
    file = read_tensors(path)
    if file.header["which"] == "adapted":
        try:
            return card_of(file.header)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            reason = one_line(error)
            text = f"{path} has a damaged header: {reason:.200}"
            raise CheckpointError(text) from error
    size = sum(tensor.numel() for tensor in file.group("params", "cpu").values())
    told = {k: v for k, v in file.header.items() if k not in ("which", "classes")}
    trained_on = file.header.get("classes")
    return {
        "what": "a checkpoint of a run",
        "parameters": size,
        "trained_on": trained_on,
        **told,
    }


def _of_onnx(path: Path) -> Card:
    if find_spec("onnx") is None:
        raise UnsupportedError(
            f"{path}: reading ONNX needs onnx: pip install 'metapipe[onnx]'"
        )
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        text = f"no ONNX file at {path}: {error.strerror}"
        raise CheckpointError(text) from error
    except Exception as error:  # whatever its reader raises for what is no ONNX
        raise CheckpointError(f"{path} is damaged, or no ONNX file") from error
    told = {each.key: each.value for each in model.metadata_props}
    return _parsed(told.get(KEY), path)


def _of_program(path: Path) -> Card:
    """Nothing in the file is executed, nor is torch needed."""
    try:
        with ZipFile(path) as file:
            names = [n for n in file.namelist() if n.endswith(f"/extra/{KEY}")]
            large = sum(file.getinfo(name).file_size for name in names) > LARGEST
            told = file.read(names[0]) if names and not large else None
    except (
        OSError,
        BadZipFile,
        RuntimeError,
        NotImplementedError,
        zlib.error,
    ) as error:
        raise CheckpointError(f"{path} is damaged") from error
    return _parsed(told, path)


def _parsed(told: str | bytes | None, path: Path) -> Card:
    if told is None:
        raise CheckpointError(f"{path} has no card: metapipe did not export it")
    try:
        return Card.model_validate_json(told)
    except ValidationError as error:
        raise CheckpointError(f"{path} has a damaged card") from error
