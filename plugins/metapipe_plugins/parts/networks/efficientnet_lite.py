"""The network of EfficientNet-Lite0.

Tan & Le, "EfficientNet", ICML 2019, table 1, in the form for small devices of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: blocks
of MobileNetV2 with ReLU6 and without squeeze-and-excitation. Batch norms are folded
into the convolutions before them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM, LAST = 32, 1280
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

EARLIER = 2
"""So many of the last stages are in a vector too: what is foreign to ImageNet is told
apart by them better than by the last layer alone."""

SHARE = 0.4
"""What the means of a stage are multiplied by: so the roots that heads take of them
weigh, all together, as much as those of the last layer do. From 0.2 to 0.5 it hardly
matters."""

WIDTH = LAST + sum(channels for *_, channels, _ in STAGES[-EARLIER:])
"""Of a vector."""

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
    """Pictures (n, 3, h, w) in [0, 1], of sides that 32 divides -> (n, WIDTH)."""

    def __init__(self, weights: Weights) -> None:
        """Raises KeyError and RuntimeError if the weights are of another network."""
        super().__init__()
        parts: list[nn.Module] = [Convolution(("_conv_stem", "_bn0"), (3, STEM), 3, 2)]
        before, ends = STEM, []
        for wider, kernel, stride, after, count in STAGES:
            for number in range(count):
                name, steps = f"_blocks.{len(parts) - 1}", 1 if number else stride
                parts.append(Block(name, (before, after), wider, kernel, steps))
                before = after
            ends.append(len(parts) - 1)
        parts.append(Convolution(("_conv_head", "_bn1"), (before, LAST)))
        self.parts, self.earlier = nn.Sequential(*parts), ends[-EARLIER:]
        for part in self.modules():
            if isinstance(part, Convolution):
                part.fold(weights)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Means over places: of the last convolution, then of the last stages."""
        inputs = (pictures - MEAN) / SCALE
        inputs = inputs.contiguous(memory_format=FASTER)
        earlier = []
        for number, part in enumerate(self.parts):
            inputs = part(inputs)
            if number in self.earlier:
                earlier.append(SHARE * inputs.mean((2, 3)))
        return torch.cat([inputs.mean((2, 3)), *earlier], dim=1)
