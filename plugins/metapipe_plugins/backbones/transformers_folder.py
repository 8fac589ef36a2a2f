"""Networks of pictures that the library transformers saved in a folder of yours.

Wolf et al., "Transformers", EMNLP 2020 (demonstrations). The library builds the network
and reads its weights, from safetensors only; nothing is downloaded, and no code that
lies in the folder is run. A picture is brought to its size by our own lines, as the
folder's preprocessor_config.json says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from metapipe import Backbone, DataError, Register, RegisterEncoder, hookimpl
from metapipe.data import FeatureEncoder, folder_digest, one_line
from metapipe_plugins.parts.data.folder_image import FolderImage, Transform

NAME = "transformers-folder"
INSTALL = "pip install 'metapipe[sentence-embeddings]'"
CONFIG, TRANSFORM = "config.json", "preprocessor_config.json"

VERSION = 1
"""Of the computation: another one makes other vectors of the same folder."""

UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    SafetensorError,
)
"""What the library and what reads JSON raise for a folder that is not whole."""


class Family(NamedTuple):
    """How vectors are taken from networks of a kind."""

    width: Callable[[Mapping[str, Any]], int]
    """Their length, by the configuration."""

    output: str = "pooler_output"
    """What of the outputs they are; `first` is the first token of the last layer."""

    loader: str = "AutoModel"
    """The library's class for the part that sees pictures."""

    options: Mapping[str, Any] = {}
    """Of loading it."""

    width_option: str = ""
    """One that has to say the width, which the library does not take from the whole."""


def _hidden(config: Mapping[str, Any]) -> int:
    return int(config["hidden_size"])


def _last(config: Mapping[str, Any]) -> int:
    return int(config["hidden_sizes"][-1])


def _vision(config: Mapping[str, Any]) -> int:
    return int(config.get("vision_config", {}).get("hidden_size", 768))


def _projection(config: Mapping[str, Any]) -> int:
    return int(config.get("projection_dim", 512))


CLIP = Family(
    _projection,
    "image_embeds",
    "CLIPVisionModelWithProjection",
    width_option="projection_dim",
)
FAMILIES = {
    "clip": CLIP,
    "clip_vision_model": CLIP,
    "convnext": Family(_last),
    "convnextv2": Family(_last),
    "dinov2": Family(_hidden),
    "dinov2_with_registers": Family(_hidden),
    "dinov3_convnext": Family(_last),
    "dinov3_vit": Family(_hidden),
    "resnet": Family(_last),
    "siglip": Family(_vision, loader="SiglipVisionModel"),
    "siglip_vision_model": Family(_hidden, loader="SiglipVisionModel"),
    "vit": Family(_hidden, "first", options={"add_pooling_layer": False}),
}
"""By `model_type` of config.json. A ViT is saved without the layer that would pool."""


class Vectors(nn.Module):
    """Pictures (n, 3, h, w) in [0, 1] -> vectors (n, d)."""

    def __init__(self, model: nn.Module, output: str, transform: Transform) -> None:
        super().__init__()
        self.model, self.output = model, output
        for name, numbers in (("mean", transform.mean), ("std", transform.std)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        """Each for itself."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        found = self.model(pixel_values=(pictures - mean) / std)
        if self.output == "first":
            first: Tensor = found.last_hidden_state[:, 0]
            return first
        vectors: Tensor = getattr(found, self.output)
        return vectors.flatten(1)


class TransformersEncoder(FeatureEncoder):
    """A picture as the vector of a network in a folder."""

    type: Literal["transformers-folder"] = "transformers-folder"
    image: FolderImage
    folder: str
    """Where the network is."""

    def digest(self) -> str:
        """SHA-256 of all files in the folder, and of the version."""
        return self.hash_of(_digest(self.folder), VERSION, places=["folder"])

    def network(self) -> Vectors:
        """That in the folder."""
        return _network(self.folder, _digest(self.folder))


class TransformersFolder(Backbone):
    """Pictures as vectors of DINOv2 or v3, CLIP, SigLIP, ViT, ConvNeXt or ResNet."""

    paper: ClassVar[str] = (
        "Wolf et al., EMNLP 2020, https://doi.org/10.18653/v1/2020.emnlp-demos.6"
    )
    departures: ClassVar[str] = (
        "pictures are resized by Pillow, in bytes, also for DINOv3, whose own way is "
        "torchvision's"
    )
    licence: ClassVar[str] = "that of the model in the folder"
    source: ClassVar[str] = "a folder that the library saved, with safetensors"
    install: ClassVar[str] = INSTALL

    folder: Path | None = None
    """Where the model is: a folder with config.json and preprocessor_config.json."""

    def encoder(self) -> TransformersEncoder:
        """Of pictures as the folder has them, with the hash of its files."""
        if self.folder is None:
            raise DataError(
                f"{NAME} needs the folder of a model: -s backbone.folder=PATH"
            )
        where = str(self.folder.expanduser().resolve())
        _digest(where)  # what may be read at all
        config = _json(where, CONFIG)
        family = _family(where, config)
        try:
            width = family.width(config)
        except UNREADABLE as error:
            raise _broken(where, error) from error
        image = _transform(where).image
        return TransformersEncoder.of(image=image, width=width, folder=where)


def _digest(folder: str) -> str:
    return folder_digest(folder, CONFIG, "folder of a model of transformers")


def _json(folder: str, name: str) -> dict[str, Any]:
    path = Path(folder) / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is no table of settings")
    return found


def _family(folder: str, config: Mapping[str, Any]) -> Family:
    kind = config.get("model_type")
    if kind in ("siglip2", "siglip2_vision_model"):
        raise DataError(
            f"{folder} is a SigLIP2 of any aspect ratio (NaFlex), which is not read: "
            "take one of a fixed size, whose model_type is siglip"
        )
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise DataError(f"{folder} has a model of type {kind!r:.60}, not of {known}")
    if config.get("architectures") == ["CLIPVisionModel"]:  # without the projection
        return Family(_hidden, loader="CLIPVisionModel")
    return FAMILIES[kind]


@lru_cache(8)
def _transform(folder: str) -> Transform:
    """What brings a picture to what the network takes. Raises DataError."""
    told = _json(folder, TRANSFORM)
    try:
        return Transform.of(told)
    except UNREADABLE as error:
        raise DataError(
            f"{Path(folder) / TRANSFORM} is not understood: {_reason(error)}"
        ) from error


@lru_cache(2)
def _network(folder: str, _: str) -> Vectors:
    """That in the folder, whose hash is part of the key."""
    config = _json(folder, CONFIG)
    family = _family(folder, config)
    options = dict(family.options)
    if family.width_option:
        options[family.width_option] = family.width(config)
    try:
        import transformers
        from transformers.utils.logging import (
            disable_progress_bar,
            get_verbosity,
            set_verbosity,
            set_verbosity_error,
        )
    except ImportError as error:
        raise DataError(f"{NAME} needs transformers: {INSTALL}") from error
    disable_progress_bar()
    told = get_verbosity()
    set_verbosity_error()  # of weights that are not needed
    try:
        model, report = getattr(transformers, family.loader).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except UNREADABLE as error:
        raise _broken(folder, error) from error
    finally:
        set_verbosity(told)
    if missing := sorted(report["missing_keys"]):
        raise DataError(f"the weights in {folder} lack {missing[0]}: save the whole")
    network = Vectors(model.float(), family.output, _transform(folder))
    return network.eval().requires_grad_(False)


def _broken(folder: str, error: Exception) -> DataError:
    return DataError(f"the model in {folder} cannot be read: {_reason(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return one_line(error)[:200] or type(error).__name__


@hookimpl
def register_encoders(register: RegisterEncoder) -> None:
    """Offer the encoder."""
    register(NAME, TransformersEncoder)


@hookimpl
def register_backbones(register: Register) -> None:
    """Offer models in a folder."""
    register(NAME, TransformersFolder)
