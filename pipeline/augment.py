"""What training does to a pair of frames before the generator sees it: one change of colours for both.

Choice: the paper names no augmentation. A few dozen people teach a generator their skins by heart; new
colours for every pair make it take them from the source. Geometry is left alone: guidance follows the fits.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.dataset import Batch

COLOURS = 1  # keeps these draws apart from those that choose the pairs


def recolour(batch: Batch, amount: float, seed: int, step: int) -> Batch:
    """Change exposure, white balance and saturation of every pair, source and driving frame alike.

    Args:
        batch: images (B, 3, H, W) in [0, 1].
        amount: largest logarithm of the exposure and of each channel's gain; saturation changes by up to
            twice this share. 0 changes nothing.
        seed: of the run; with `step` it decides every draw.
        step: number of the batch.
    """
    if not amount:
        return batch
    rng = np.random.default_rng([seed, step, COLOURS])

    def uniform(channels: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-amount, amount, (len(batch.source), channels, 1, 1))).float()

    gain, saturation = (uniform(3) + uniform(1)).exp(), 1 + 2 * uniform(1)

    def change(img: Tensor) -> Tensor:
        img = img * gain
        return torch.lerp(img.mean(1, keepdim=True), img, saturation).clamp(0, 1)

    return replace(batch, source=change(batch.source), driving=change(batch.driving))
