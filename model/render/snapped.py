"""Vertices on a grid that is so fine that it moves nothing, and so coarse that visibility is exact on it."""

from typing import NamedTuple

import torch
from torch import Tensor

SUB = 1024  # positions along one pixel
DEPTH_STEPS = 1 << 18  # depth levels between the nearest and the farthest vertex of a mesh
MAX_SIDE = 4096  # px of a frame; with GUARD_PX it keeps every edge function within 53 bits
GUARD_PX = 4 * MAX_SIDE  # vertices farther than this from the first pixel, in x or y, are not drawable


class Points(NamedTuple):
    """Snapped vertices, each (B, V) float64."""

    x: Tensor  # multiple of 1/SUB px where the centre of column j is j; NaN if not drawable
    y: Tensor  # the same for rows
    level: Tensor  # whole depth level, 0 (nearest) to DEPTH_STEPS
    z: Tensor  # depth as given


def snap(verts: Tensor, size_hw: tuple[int, int], perspective: bool) -> Points:
    """Snap vertices (B, V, 3), as `model.render.raster.rasterize` takes them, to the grid of an (H, W) frame."""
    x, y, z = (coordinate.contiguous() for coordinate in verts.to(torch.float64).unbind(-1))
    x = ((x + 1) * (0.5 * size_hw[1] * SUB)).round() / SUB - 0.5
    y = ((y + 1) * (0.5 * size_hw[0] * SUB)).round() / SUB - 0.5
    drawable = torch.maximum(x.abs(), y.abs()) <= GUARD_PX
    if perspective:
        drawable &= z > 0
    linear = -1 / z if perspective else z
    near = torch.where(drawable, linear, torch.inf).amin(1, keepdim=True)
    far = torch.where(drawable, linear, -torch.inf).amax(1, keepdim=True)
    level = ((linear - near) / torch.where(far > near, far - near, 1.0) * DEPTH_STEPS).round()
    return Points(torch.where(drawable, x, torch.nan), torch.where(drawable, y, torch.nan), level, z)
