"""EfficientNet-Lite: a picture → the features of its regions (Tan and Le 2019; the Lite variants are Google's of 2020).

A plain chain of convolutions and ReLU6: batch norms are part of the convolutions, as their weights are loaded, and the
Lite variants have neither squeeze-and-excitation nor swish. So what trains, what is exported and what is quantised are
the same operators.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Frozen

CENTRE, SPREAD = 127.0, 128.0
"""Pixels are read as (pixel - 127) / 128: what the published weights of the Lite variants were trained on."""


class Stage(Frozen):
    """Blocks of one resolution; the first of them has the stride and changes the number of channels."""

    blocks: int = Field(ge=1)
    kernel_size: Literal[3, 5]
    stride: Literal[1, 2]
    expansion: int = Field(ge=1)
    channels: int = Field(ge=1)


LITE0 = (
    Stage(blocks=1, kernel_size=3, stride=1, expansion=1, channels=16),
    Stage(blocks=2, kernel_size=3, stride=2, expansion=6, channels=24),
    Stage(blocks=2, kernel_size=5, stride=2, expansion=6, channels=40),
    Stage(blocks=3, kernel_size=3, stride=2, expansion=6, channels=80),
    Stage(blocks=3, kernel_size=5, stride=1, expansion=6, channels=112),
    Stage(blocks=4, kernel_size=5, stride=2, expansion=6, channels=192),
    Stage(blocks=1, kernel_size=3, stride=1, expansion=6, channels=320),
)
"""EfficientNet-Lite0; with stem and head 3.35 million parameters."""


class ImageEncoderConfig(Frozen):
    """Sizes of an EfficientNet-Lite, and of the square pictures that it reads.

    Attributes:
        image_size: pixels a side. Lite0 sees 7 × 7 regions in a picture of 224, and 14 × 14 in one of 448.
        stem_size: channels of the first convolution.
        stages: what follows it, in order.
        head_size: channels of the last convolution, the features of a region.
    """

    image_size: int = Field(default=224, ge=8)
    stem_size: int = Field(default=32, ge=1)
    stages: tuple[Stage, ...] = LITE0
    head_size: int = Field(default=1280, ge=1)

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the square that the stem reads, then of what each stage reads, then of the feature map."""
        sides = [self.image_size]
        for stride in (2, *(stage.stride for stage in self.stages)):
            sides.append(math.ceil(sides[-1] / stride))
        return tuple(sides)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the feature map."""
        return self.sides[-1], self.sides[-1]

    @property
    def regions(self) -> int:
        """Places of the feature map."""
        return self.sides[-1] ** 2


class SameConvolution(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, whose output has ⌈side / stride⌉ places a side.

    Where the padding does not come out even, the right and the bottom get one more: at a stride of 2 other pixels meet
    the kernel's centre than with PyTorch's symmetrical padding.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, side: int, stride: int = 1, groups: int = 1
    ) -> None:
        total = max((math.ceil(side / stride) - 1) * stride + kernel_size - side, 0)
        before, after = total // 2, total - total // 2
        even = before == after
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=before if even else 0, groups=groups)
        self.margins = None if even else (before, after, before, after)
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`x [rows, channels, side, side]` → `[rows, channels, ⌈side / stride⌉, ⌈side / stride⌉]`."""
        padded = x if self.margins is None else F.pad(x, self.margins)
        if self.groups == 1 or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(padded)
        # Where channels are filtered alone, the backward pass of a CPU's bf16 kernel takes three times as long.
        with torch.autocast("cpu", enabled=False):
            return super().forward(padded.to(self.weight.dtype))


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel alone, narrow; with its input added where the shapes agree (Sandler et al. 2018)."""

    def __init__(self, in_channels: int, stage: Stage, *, side: int, stride: int) -> None:
        super().__init__()
        wide = in_channels * stage.expansion
        self.expand = SameConvolution(in_channels, wide, 1, side=side) if stage.expansion > 1 else None
        self.filter = SameConvolution(wide, wide, stage.kernel_size, side=side, stride=stride, groups=wide)
        self.project = SameConvolution(wide, stage.channels, 1, side=math.ceil(side / stride))
        self.residual = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """`x [rows, in_channels, side, side]` → `[rows, channels, side / stride, side / stride]`."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow: Tensor = self.project(F.relu6(self.filter(wide)))
        return x + narrow if self.residual else narrow


class EfficientNet(nn.Module):
    """The network up to its last feature map, which is flattened row by row."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = SameConvolution(3, config.stem_size, 3, side=config.image_size, stride=2)
        channels = config.stem_size
        blocks: list[nn.Module] = []
        for stage, (side, smaller) in zip(config.stages, pairwise(config.sides[1:]), strict=True):
            blocks.append(InvertedBottleneck(channels, stage, side=side, stride=stage.stride))
            channels = stage.channels
            blocks += (InvertedBottleneck(channels, stage, side=smaller, stride=1) for _ in range(stage.blocks - 1))
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConvolution(channels, config.head_size, 1, side=config.sides[-1])

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels [images, side, side, 3]`, RGB of 8 bits → features `[images, regions, head_size]`."""
        x = (pixels.permute(0, 3, 1, 2).to(self.stem.weight.dtype) - CENTRE) / SPREAD
        x = F.relu6(self.head(self.blocks(F.relu6(self.stem(x)))))
        return x.flatten(2).transpose(1, 2)
