"""Convolution blocks that FOMM and 3D-FOMM share, in two and in three dimensions.

Source: AliaksandrSiarohin/first-order-model at c027484 and zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_
Synthesis at 9511d25, modules/util.py of both: order of layers, hence the names of tensors.
The third dimension is depth. It is never pooled: blocks halve and double height and width alone.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
HALVES = {2: (2, 2), 3: (1, 2, 2)}


def convolution(dims: int, inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    """A convolution that keeps the size."""
    return CONVOLUTIONS[dims](inputs, outputs, kernel, padding=kernel // 2)


class Block(nn.Module):
    """Convolution, batch norm, rectifier; `slope` is the rectifier's below zero."""

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: int = 3, slope: float = 0.0) -> None:
        super().__init__()
        self.dims, self.slope = dims, slope
        self.conv = convolution(dims, inputs, outputs, kernel)
        self.norm = NORMS[dims](outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) -> (B, outputs, ...)."""
        return F.leaky_relu(self.norm(self.conv(x)), self.slope)


class Down(Block):
    """A block, then the mean of 2 x 2 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width."""
        pool = F.avg_pool2d if self.dims == 2 else F.avg_pool3d
        return pool(super().forward(x), HALVES[self.dims])


class Up(Block):
    """Every pixel twice in both directions, then a block."""

    def forward(self, x: Tensor) -> Tensor:
        """Double height and width."""
        return super().forward(F.interpolate(x, scale_factor=HALVES[self.dims], mode="nearest"))


class Residual(nn.Module):
    """Norm, rectifier and convolution, twice, added to the input."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = convolution(dims, channels, channels), convolution(dims, channels, channels)
        self.norm1, self.norm2 = NORMS[dims](channels), NORMS[dims](channels)

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        inner = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(inner)))


def widths(first: int, largest: int, levels: int) -> list[int]:
    """Channels of levels 0 to `levels`: doubled at each, up to `largest`."""
    return [min(largest, first * 2**level) for level in range(levels + 1)]


class Encoder(nn.Module):
    """Blocks that halve; keeps what each saw."""

    def __init__(self, dims: int, inputs: int, channels: list[int]) -> None:
        super().__init__()
        steps = [(inputs, channels[1]), *pairwise(channels[1:])]
        self.down_blocks = nn.ModuleList(Down(dims, a, b) for a, b in steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the input and every block's output, the finest first."""
        seen = [x]
        for block in self.down_blocks:
            seen.append(block(seen[-1]))
        return seen


class Decoder(nn.Module):
    """Blocks that double; each output is joined by what the encoder saw at that size."""

    def __init__(self, dims: int, inputs: int, channels: list[int], last_block: bool) -> None:
        super().__init__()
        deepest = len(channels) - 1
        self.up_blocks = nn.ModuleList(
            Up(dims, channels[level] * (1 if level == deepest else 2), channels[level - 1])
            for level in range(deepest, 0, -1)
        )
        self.out_channels = channels[0] + inputs
        self.conv = convolution(dims, self.out_channels, self.out_channels) if last_block else None
        self.norm = NORMS[dims](self.out_channels) if last_block else None

    def forward(self, seen: list[Tensor]) -> Tensor:
        """(B, out_channels, ...) at the size of the encoder's input."""
        *skips, out = seen
        for block, skip in zip(self.up_blocks, reversed(skips), strict=True):
            out = torch.cat([block(out), skip], 1)
        return out if self.conv is None or self.norm is None else F.relu(self.norm(self.conv(out)))


class Hourglass(nn.Module):
    """Encoder and decoder with skips; 3D-FOMM's decoder ends in one more block (`last_block`)."""

    def __init__(self, dims: int, inputs: int, channels: list[int], last_block: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(dims, inputs, channels)
        self.decoder = Decoder(dims, inputs, channels, last_block)
        self.out_channels = self.decoder.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) -> (B, out_channels, ...) of the same size."""
        return self.decoder(self.encoder(x))
