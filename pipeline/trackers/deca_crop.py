"""What DECA sees of a frame, and where its coordinates lie in the frame (yfeng95/DECA).

Convention: DECA counts pixels from their centres, as its landmark detector does, so the centre of the first pixel is
(0, 0). This file is the one place where that meets the project's edge-aligned px: `find_crop` takes half a pixel off,
`cut` and `tracker_map` give it back.

Quirks kept: the box's side is truncated to a whole number; the crop's corners lie at 0 and 223, while DECA's [-1, 1]
spans 0 to 224 (decalib/datasets/datasets.py and decalib/utils/tensor_cropper.py).
"""

import torch
from torch import Tensor

from model.frame.alignment import similarity_to
from model.frame.coords import Size, identity_grid, px_to_ndc
from model.frame.warp import warp

CROP_PX = 224
LANDMARK_MARGIN = 1.1  # "kpt68" of datasets.py: bbox2point
CONTEXT = 1.25  # TestData's scale
HALF_PX = 0.5  # from a pixel's edge to its centre


def find_crop(landmarks_px: Tensor) -> Tensor:
    """Similarities from a frame to DECA's crop, in DECA's coordinates of both.

    Args:
        landmarks_px: (B, 68, 2) in px of the frame.

    Returns:
        (B, 2, 3) float64.

    Raises:
        ValueError: a face's landmarks span less than a pixel, or are not finite.
    """
    marks = landmarks_px.double() - HALF_PX
    low, high = marks.amin(1), marks.amax(1)
    side = ((high - low).mean(1) * LANDMARK_MARGIN * CONTEXT).floor()  # (B,)
    empty = ~(side >= 1)  # true for NaN
    if empty.any():
        raise ValueError(f"DECA's crop of face {int(empty.nonzero()[0])} is empty: its landmarks span no pixel")
    centre, half = (low + high) / 2, side[:, None, None] / 2
    corners = marks.new_tensor([[-1, -1], [-1, 1], [1, -1]])
    targets = (corners + 1) / 2 * (CROP_PX - 1)
    return similarity_to(centre[:, None] + corners * half, targets.expand(len(marks), 3, 2))


def cut(img: Tensor, to_crop: Tensor) -> Tensor:
    """Resample frames (B, 3, H, W) in [0, 1] to DECA's input (B, 3, 224, 224): bilinear, black outside."""
    size_hw = (img.shape[-2], img.shape[-1])
    columns = torch.arange(CROP_PX, device=img.device, dtype=to_crop.dtype)
    grid = torch.stack(torch.meshgrid(columns, columns, indexing="xy"), -1).view(1, -1, 2)
    at_ndc = px_to_ndc(_to_frame(grid, to_crop.to(img.device)) + HALF_PX, size_hw)
    at_ndc = at_ndc.transpose(1, 2).unflatten(-1, (CROP_PX, CROP_PX))
    return warp(img, at_ndc - identity_grid((CROP_PX, CROP_PX), img.device, at_ndc.dtype), padding="zeros")


def tracker_map(to_crop: Tensor, size_hw: Size) -> Tensor:
    """Map (B, 6), row-major 2x3, from DECA's [-1, 1] to the ndc of an (H, W) frame; float64.

    This is `HeadFit.tracker_map` of a fit by DECA. The published code stops half a pixel short: it divides positions
    that count from pixel centres by the frame's size.
    """
    basis = to_crop.new_tensor([[-1, -1], [1, -1], [-1, 1]]).expand(len(to_crop), 3, 2)
    origin, along_x, along_y = px_to_ndc(_to_frame((basis + 1) / 2 * CROP_PX, to_crop) + HALF_PX, size_hw).unbind(1)
    linear = torch.stack([along_x - origin, along_y - origin], -1) / 2  # (B, 2, 2)
    return torch.cat([linear, (along_x + along_y)[..., None] / 2], -1).flatten(1)


def _to_frame(points: Tensor, to_crop: Tensor) -> Tensor:
    """Undo similarities for points (B or 1, N, 2)."""
    moved = points - to_crop[:, None, :, 2]
    return torch.linalg.solve(to_crop[:, :, :2], moved.transpose(1, 2)).transpose(1, 2)
