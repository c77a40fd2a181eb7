"""PIRender's style loss: how channels of features go together, whatever the place.

Source: RenYurui/PIRender at 9e59f19, loss/perceptual.py (as VGG-19's maps are there, so are the backbone's here).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.training.losses import wide


def gram(feature: Tensor) -> Tensor:
    """Products of channels of a map (B, C, h, w), their sum over pixels divided by C h w: (B, C, C)."""
    flat = wide(feature).flatten(2)
    with torch.autocast(feature.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def style_distance(made: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of Gram matrices, summed over maps, of B images and of the B that they should match.

    Args:
        made: maps of the images at one scale, each (B, C, h, w).
        target: those of the targets.
    """
    return torch.stack([(gram(m) - gram(t)).abs().mean() for m, t in zip(made, target, strict=True)]).sum()
