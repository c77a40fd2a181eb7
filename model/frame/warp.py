"""Backward warping by a displacement field: the one sampler of this project (published systems have theirs)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.frame.coords import identity_grid
from model.frame.layout import as_laid_out, laid_out_like


def warp(src: Tensor, disp: Tensor, *, padding: str = "border", align_corners: bool = False) -> Tensor:
    """Sample `src` at identity + `disp`.

    Convention: `disp` is `p_src - p_tgt` in ndc on the target grid, so `disp_x = 2 / W` makes every
    output pixel show its right neighbour. Sampling runs in float32 also under autocast, because
    bfloat16 cannot hold sub-pixel positions.

    Args:
        src: image or features (B, C, H, W).
        disp: displacement (B, 2, h, w).
        padding: what lies outside the source: "border" repeats its edge, "zeros" is black.
        align_corners: False in this project; published networks trained otherwise pass True.

    Returns:
        Warped features (B, C, h, w) in the dtype of `src`.

    Choice: the paper does not say what is sampled outside the source. The edge is repeated, since a
    black rim would have to be inpainted at every level.
    """
    if src.shape[0] != disp.shape[0] or disp.shape[1] != 2:
        raise ValueError(f"warp: source {tuple(src.shape)} does not fit displacement {tuple(disp.shape)}")
    with torch.autocast(device_type=src.device.type, enabled=False):
        grid = identity_grid(disp.shape[-2:], disp.device, torch.promote_types(disp.dtype, torch.float32))
        position = (grid + disp).permute(0, 2, 3, 1)  # (B, h, w, 2)
        out = F.grid_sample(
            as_laid_out(src).to(position.dtype),
            position,
            mode="bilinear",
            padding_mode=padding,
            align_corners=align_corners,
        )
    return laid_out_like(out.to(src.dtype), src)
