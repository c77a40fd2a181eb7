"""Bi-Layer's rival: residual blocks that judge an image together with the drawing of its pose, in patches.

Source: saic-violet/bilayer-model at c01cebe, networks/discriminator.py and scripts/train_base_model_8gpus.sh.

Choice: no batch norm (the published one has it), so that a score depends on its image and drawing alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.bilayer.blocks import SLOPE, ResBlock, conv
from model.training.losses import PatchScores

CHANNELS = 6  # an image and a drawing


@dataclass(frozen=True, kw_only=True, slots=True)
class RivalConfig:
    """Sizes.

    Attributes:
        width: channels of the first convolution; each halving doubles them.
        max_width: the most channels.
        halvings: how often the size is halved before patches are judged.
        blocks: residual blocks in all; those beyond the halvings keep the size.
    """

    width: int
    max_width: int
    halvings: int
    blocks: int

    def __post_init__(self) -> None:
        if self.blocks < self.halvings:
            raise ValueError(f"{self.blocks} blocks cannot halve the size {self.halvings} times")


class Rival(nn.Module):
    """Scores of patches, and the features inside each residual block."""

    def __init__(self, config: RivalConfig) -> None:
        super().__init__()
        widths = [min(config.width * 2 ** min(i, config.halvings), config.max_width) for i in range(config.blocks + 1)]
        self.first = conv(CHANNELS, widths[0])
        self.blocks = nn.ModuleList(
            ResBlock(*pair, "down" if i < config.halvings else "")
            for i, pair in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.last = conv(widths[-1], 1, 1)

    def forward(self, img: Tensor, drawing: Tensor) -> PatchScores:
        """Judge images (N, 3, H, W) with their drawings of the same shape, both in [-1, 1]."""
        features, inner = self.first(torch.cat([img, drawing], 1)), []
        for block in self.blocks:
            features, found = block.embed(features)  # type: ignore[operator]
            inner.append(found)
        return PatchScores(inner, self.last(F.leaky_relu(features, SLOPE)))
