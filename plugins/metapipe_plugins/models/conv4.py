"""Four convolutions: the network that few-shot papers compare on.

MAML's Omniglot form: 3x3 convolutions of stride 2, batch normalisation, ReLU, a mean
over space, a linear head (Finn et al. 2017, section 5.2). The other form, of Vinyals et
al. 2016 and Snell et al. 2017, pools by maximum instead and flattens.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from metapipe import Model, Register, Statistics, UnsupportedError, hookimpl
from metapipe.numerics import BatchNorm, GroupNorm
from metapipe_plugins.parts.networks.first_block import FirstBlock

GROUP = 8
"""Channels normalised together."""


class Conv4(Model):
    """Blocks of 3x3 convolution, normalisation and ReLU, then a linear head."""

    paper: ClassVar[str] = (
        "Vinyals et al., NIPS 2016, https://arxiv.org/abs/1606.04080; stride-2 form: "
        "Finn et al., ICML 2017, https://arxiv.org/abs/1703.03400"
    )
    departures: ClassVar[str] = (
        "convolutions begin by Xavier unless initial is given (MetaOptNet's: He, fan "
        "out; MetaNet's: LeCun; ProtoNet's: torch's); epsilon of the normalisation is "
        "1e-5 (MAML's code: 1e-3); strided convolutions pad by 1 on every side "
        "(TensorFlow: on one); a "
        "learned scale only with model.scale"
    )

    width: PositiveInt = 64
    """Channels of each block."""

    blocks: PositiveInt = 4
    """Number of blocks; each halves height and width."""

    pooling: Literal["stride", "max"] = "stride"
    """How a block halves its map: stride-2 convolution, or 2x2 maximum."""

    ceil: bool = False
    """Round odd sizes up when pooling by maximum, so that small maps do not vanish."""

    features: Literal["mean", "flatten", "maps"] = "mean"
    """How the last map becomes a vector; or not at all, for methods that compare maps
    (without a head only, and without dense layers)."""

    normalise: bool = True
    """Normalisation after each convolution."""

    norm: Literal["batch", "group", "layer"] = "batch"
    """Which: by the batch's statistics, as in the papers; or each image by its own, in
    groups of 8 channels or over all of them, so that no image sees another and methods
    with gradients are inductive."""

    dense: tuple[PositiveInt, ...] = ()
    """Widths of dense layers, with ReLU, between the last map and the head."""

    scale: bool = False
    """Whether normalisation has a learned scale beside its learned shift."""

    initial: Literal["xavier", "he", "lecun", "torch"] = "xavier"
    """Initial weights of the convolutions: uniform by Glorot & Bengio (MAML's code),
    normal by He et al. with the fan out (MetaOptNet's), normal by LeCun et al. with the
    fan in (MetaNet's, which is Chainer's), or torch's (ProtoNet's)."""

    head: Literal["normal", "torch", "zero"] = "torch"
    """Initial weights of the head: N(0, 1) as MAML's Omniglot code, torch's default, or
    zero, which makes all classes alike before adaptation."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, channels, height, width) -> (n, outputs), or features (n, d) or
        (n, width, h, w)."""
        size = self._feature_size(shape)
        channels = [shape[0]] + [self.width] * self.blocks
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(self.blocks):
            layers[f"block{number + 1}"] = self._block(
                channels[number], channels[number + 1], statistics
            )
        if outputs is None and self.features == "maps" and not self.dense:
            return nn.Sequential(layers)
        layers["features"] = Mean() if self.features == "mean" else nn.Flatten()
        for number, width in enumerate(self.dense, start=1):
            layers[f"dense{number}"] = nn.Linear(size, width, bias=False)
            layers[f"relu{number}"] = nn.ReLU()
            size = width
        if outputs is not None:
            layers["head"] = self._head(size, outputs)
        return nn.Sequential(layers)

    def _feature_size(self, shape: tuple[int, ...]) -> int:
        """Length of the feature vector."""
        if len(shape) != 3:
            raise UnsupportedError(
                f"conv4 takes images (channels, height, width), not inputs of shape "
                f"{shape}: choose --model mlp, or residual-mlp for a backbone's"
            )
        height, width = shape[1:]
        for _ in range(self.blocks):
            height, width = self._halve(height), self._halve(width)
        if not height or not width:
            raise UnsupportedError(
                f"images of {shape[1]}x{shape[2]} vanish in {self.blocks} pooled blocks"
                ": use -s model.ceil=true, or fewer blocks with -s model.blocks=N"
            )
        return self.width * (1 if self.features == "mean" else height * width)

    def _halve(self, size: int) -> int:
        up = self.pooling == "stride" or self.ceil
        return (size + 1) // 2 if up else size // 2

    def _block(self, inside: int, outside: int, statistics: Statistics) -> nn.Module:
        """Convolution, normalisation, ReLU and perhaps pooling; the convolution has no
        bias, whose gradient before a normalisation is exactly zero."""
        stride = 2 if self.pooling == "stride" else 1
        conv = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        if self.initial == "xavier":
            nn.init.xavier_uniform_(conv.weight)
        elif self.initial == "he":
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        elif self.initial == "lecun":
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="linear")
        norm = self._norm(outside, statistics) if self.normalise else nn.Identity()
        layout, relu = ChannelsLast(), nn.ReLU()
        if self.pooling == "stride":
            layers = OrderedDict[str, nn.Module](conv=conv, layout=layout, norm=norm)
            return nn.Sequential(layers | {"relu": relu})
        pool = nn.MaxPool2d(2, ceil_mode=self.ceil)
        if FirstBlock.pays(conv) and isinstance(norm, BatchNorm):
            return FirstBlock(conv, norm, pool, relu)
        # ReLU of what is left after pooling: the same, and a quarter of the work.
        return nn.Sequential(
            OrderedDict[str, nn.Module](
                conv=conv, layout=layout, norm=norm, pool=pool, relu=relu
            )
        )

    def _norm(self, channels: int, statistics: Statistics) -> nn.Module:
        if self.norm == "batch":
            return BatchNorm(channels, statistics, scale=self.scale)
        groups = 1 if self.norm == "layer" else channels // GROUP
        if self.norm == "group" and channels % GROUP:
            raise UnsupportedError(
                f"model.width = {channels} is no multiple of the {GROUP} channels of a "
                "group: use one, or -s model.norm=layer"
            )
        return GroupNorm(groups, channels, scale=self.scale)

    def _head(self, size: int, outputs: int) -> nn.Linear:
        head = nn.Linear(size, outputs)
        if self.head == "normal":
            nn.init.normal_(head.weight)
        elif self.head == "zero":
            nn.init.zeros_(head.weight)
        if self.head != "torch":
            nn.init.zeros_(head.bias)
        return head


class ChannelsLast(nn.Module):
    """Lays maps out channels last, which CPUs normalise, pool and convolve faster.

    After the convolution and not before: with one input channel the two layouts are the
    same strides, and torch goes on with the slow one. A GPU's maps stay as they are:
    derivatives of its convolutions ask for the layout, which `vmap` does not tell.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c, h, w) -> the same; no copy if it is laid out so already."""
        if maps.device.type != "cpu":
            return maps
        return maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


class Mean(nn.Module):
    """The mean over space."""

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c)."""
        return maps.mean((-2, -1))


@hookimpl
def register_models(register: Register) -> None:
    """Offer conv4."""
    register("conv4", Conv4)
