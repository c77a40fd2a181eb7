"""What training does to a pair of frames before the generator sees it: new colours for both, a new crop for each.

Choice: the paper names no augmentation. A few dozen people teach a generator their skins by heart; new
colours for every pair make it take them from the source. And a handful of people who sit still teach it nothing
about heads that cross the frame; crops that move do. Guidance follows the fits, which move with their crops.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.frame.coords import identity_grid
from model.frame.warp import warp
from model.heads.fit import HeadFit
from pipeline.training.dataset import WHOLE, Crop, Pairs, Share, moved_fit

COLOURS, CROPS = 1, 2  # keep these draws apart from each other and from those that choose the pairs


def recolour(batch: Pairs, amount: float, seed: int, step: int, share: Share = WHOLE) -> Pairs:
    """Change exposure, white balance and saturation of every pair, source and driving frame alike.

    Args:
        batch: images (B, 3, H, W) in [0, 1].
        amount: largest logarithm of the exposure and of each channel's gain; saturation changes by up to
            twice this share. 0 changes nothing.
        seed: of the run; with `step` it decides every draw.
        step: number of the batch.
        share: which of the step's pairs these are; each pair's change is the same whoever makes it.
    """
    if not amount:
        return batch
    rng = np.random.default_rng([seed, step, COLOURS])
    count, mine = len(batch.source) * share[1], slice(share[0], None, share[1])

    def uniform(channels: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-amount, amount, (count, channels, 1, 1))).float()

    gain, saturation = ((uniform(3) + uniform(1)).exp())[mine], (1 + 2 * uniform(1))[mine]

    def change(img: Tensor) -> Tensor:
        img = img * gain
        return torch.lerp(img.mean(1, keepdim=True), img, saturation).clamp(0, 1)

    return replace(batch, source=change(batch.source), driving=change(batch.driving))


def recrop(batch: Pairs, shift_ndc: float, log_scale: float, seed: int, step: int, share: Share = WHOLE) -> Pairs:
    """Shift and scale every frame on its own, its fit and its labels with it; the edge repeats beyond the frame.

    Args:
        batch: images (B, 3, H, W) in [0, 1] and fits.
        shift_ndc: largest shift in x and in y.
        log_scale: largest logarithm of the scale. Both 0 change nothing.
        seed: of the run; with `step` it decides every draw.
        step: number of the batch.
        share: which of the step's pairs these are; each pair's change is the same whoever makes it.
    """
    if not (shift_ndc or log_scale):
        return batch
    rng = np.random.default_rng([seed, step, CROPS])
    count, mine = len(batch.source) * share[1], slice(share[0], None, share[1])

    def move(img: Tensor, fit: HeadFit, labels: Tensor | None) -> tuple[Tensor, HeadFit, Crop, Tensor | None]:
        """A point p of the frame goes to scale * p + shift."""
        scale = torch.from_numpy(np.exp(rng.uniform(-log_scale, log_scale, (count, 1, 1)))).float()[mine]
        shift = torch.from_numpy(rng.uniform(-shift_ndc, shift_ndc, (count, 2, 1))).float()[mine]
        grid = identity_grid(img.shape[-2:])
        position = (grid - shift[..., None]) / scale[..., None]
        moved = warp(img, position - grid)
        return (
            moved,
            moved_fit(fit, scale, shift),
            (scale, shift),
            None if labels is None else _nearest(labels, position),
        )

    labels = batch.parts or (None, None)
    source, fit_src, crop_src, parts_src = move(batch.source, batch.fit_src, labels[0])
    driving, fit_drv, crop_drv, parts_drv = move(batch.driving, batch.fit_drv, labels[1])
    parts = None if parts_src is None or parts_drv is None else (parts_src, parts_drv)
    return Pairs(source, driving, fit_src, fit_drv, batch.near, (crop_src, crop_drv), parts)


def _nearest(labels: Tensor, position: Tensor) -> Tensor:
    """Labels (B, H, W) at the nearest pixels of positions (B, 2, H, W) in ndc."""
    found = F.grid_sample(
        labels[:, None].float(), position.permute(0, 2, 3, 1), "nearest", padding_mode="border", align_corners=False
    )
    return found[:, 0].to(labels.dtype)
