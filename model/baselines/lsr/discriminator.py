"""LSR's discriminator: StyleGAN 2's, which sees an image beside the driver's contours and says one number.

Source: MoustafaMeshry/lsr at a9a6643, networks.py (DiscriminatorStyleGAN2, MultiScaleDiscriminator), layers.py
(ResBlockDown) and options.py: one scale, six halvings, 32 channels and at most 512, no norms, no statistics of the
batch, weights scaled when used.

Legend: B batch, n side of the images, C channels.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.lsr.network import RGB, SLOPE, Conv, Dense, blur_pool

HALVED = 0.5**0.5  # of the sum of a block's two ways, so that its variance stays


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticConfig:
    """Size of the discriminator.

    Attributes:
        native_px: side of the images, a multiple of 2^levels.
        scales: image sizes that are judged, each half the one before and each by weights of its own.
        levels: halvings at every scale.
        channels: at first; twice as many at each level.
        most: channels of the deepest levels.
    """

    native_px: int
    scales: int
    levels: int
    channels: int
    most: int

    def __post_init__(self) -> None:
        """Raise ValueError where the smallest scale cannot be halved so often."""
        deepest = self.scales - 1 + self.levels
        if self.native_px % 2**deepest:
            raise ValueError(
                f"LSR's discriminator of {self.scales} scales and {self.levels} levels halves images {deepest} times, "
                f"and {self.native_px} px cannot be: lower discriminator.levels"
            )


class Critic(nn.Module):
    """One network a scale."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Scale(config, config.native_px >> scale) for scale in range(config.scales))

    def forward(self, image: Tensor, contour: Tensor) -> Tensor:
        """Images and the contours that drove them, (B, 3, n, n) in [-1, 1] -> logits (B, scales), positive for real."""
        seen = torch.cat([image, contour], 1)
        return torch.stack(
            [judge(seen if scale == 0 else F.avg_pool2d(seen, 2**scale)) for scale, judge in enumerate(self.scales)], 1
        )


class Scale(nn.Module):
    """Image beside its contour, of one size -> a logit."""

    def __init__(self, config: CriticConfig, side: int) -> None:
        super().__init__()
        wide = [min(config.channels * 2**i, config.most) for i in range(config.levels + 1)]
        self.from_rgb = Conv(2 * RGB, wide[0], 1)
        self.blocks = nn.ModuleList(HalvingBlock(a, b) for a, b in pairwise(wide))
        self.conv = Conv(wide[-1], wide[-1])
        self.dense = Dense(wide[-1] * (side >> config.levels) ** 2, wide[-1])
        self.logit = Dense(wide[-1], 1)

    def forward(self, seen: Tensor) -> Tensor:
        """(B, 6, n, n) -> (B,)."""
        x = F.leaky_relu(self.from_rgb(seen), SLOPE)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.conv(F.leaky_relu(x, SLOPE)), SLOPE)
        return self.logit(F.leaky_relu(self.dense(x.flatten(1)), SLOPE))[:, 0]


class HalvingBlock(nn.Module):
    """Activation and convolution twice beside a convolved shortcut, both blurred to half the size."""

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__()
        self.shortcut = Conv(channels, wider, 1, bias=False)
        self.conv0 = Conv(channels, channels)
        self.conv1 = Conv(channels, wider)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h/2, w/2)."""
        more = self.conv1(F.leaky_relu(self.conv0(F.leaky_relu(x, SLOPE)), SLOPE))
        return (blur_pool(more) + blur_pool(self.shortcut(x))) * HALVED
