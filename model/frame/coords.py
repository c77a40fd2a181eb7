"""The page of conventions, in code: pixels, ndc, displacements and 8-bit images.

Convention: x right, y down, edge-aligned. `px`: the centre of pixel (row i, column j) is
(j + 0.5, i + 0.5). `ndc` = 2 * px / (W, H) - 1, so a point keeps its ndc at every resolution and
`align_corners=False` holds everywhere. A displacement is `p_src - p_tgt` in ndc on the target grid,
shape (B, 2, h, w) with channels (x, y); zero is the identity and resizing never rescales it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int] | torch.Size  # (height, width)


def px_to_ndc(points_px: Tensor, size_hw: Size) -> Tensor:
    """Map points (..., 2) from pixels of an (H, W) frame to ndc.

    Convention: for W = 4 the pixel centres 0.5, 1.5, 2.5, 3.5 map to -0.75, -0.25, 0.25, 0.75.
    """
    height, width = size_hw
    return 2.0 * points_px / points_px.new_tensor([width, height]) - 1.0


def ndc_to_px(points_ndc: Tensor, size_hw: Size) -> Tensor:
    """Map points (..., 2) from ndc to pixels of an (H, W) frame: the inverse of `px_to_ndc`."""
    height, width = size_hw
    return (points_ndc + 1.0) * 0.5 * points_ndc.new_tensor([width, height])


def identity_grid(size_hw: Size, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the ndc of every pixel centre of an (h, w) frame, shape (1, 2, h, w), channels (x, y)."""
    height, width = size_hw
    x = (torch.arange(width, device=device, dtype=dtype) + 0.5) * (2.0 / width) - 1.0
    y = (torch.arange(height, device=device, dtype=dtype) + 0.5) * (2.0 / height) - 1.0
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).unsqueeze(0)


def resize_disp(disp: Tensor, size_hw: Size) -> Tensor:
    """Resample a displacement (B, 2, h, w) to another grid; values stay in ndc and are not rescaled."""
    return F.interpolate(disp, size=size_hw, mode="bilinear", align_corners=False)


def apply_affine(matrix: Tensor, points: Tensor) -> Tensor:
    """Apply row-major 2x3 maps (B, 6) to points (B, N, 2)."""
    matrix = matrix.reshape(-1, 2, 3).to(points.dtype)
    return points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]


def to_u8(img: Tensor) -> Tensor:
    """Quantise [0, 1] to uint8 by rounding to the nearest level (values outside are clamped)."""
    return (img.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def from_u8(img_u8: Tensor) -> Tensor:
    """Turn uint8 into float32 in [0, 1]."""
    return img_u8.to(torch.float32) / 255.0


def frames_to_tensor(frames_u8: Tensor) -> Tensor:
    """Turn file frames (T, H, W, 3) uint8 into memory images (T, 3, H, W) float32 in [0, 1]."""
    return from_u8(frames_u8.permute(0, 3, 1, 2).contiguous())


def tensor_to_frames(img: Tensor) -> Tensor:
    """Turn memory images (T, 3, H, W) in [0, 1] into file frames (T, H, W, 3) uint8."""
    return to_u8(img).permute(0, 2, 3, 1).contiguous()
