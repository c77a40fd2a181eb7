"""Vertex attributes as means over the areas of pixels, from a visibility of several times the size."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.frame.coords import Size
from model.render.interpolate import blend_rows
from model.render.raster import Fragments


def interpolate_area(fragments: Fragments, attributes: Tensor, triangles: Tensor, factor: int) -> Tensor:
    """Interpolate vertex attributes and average blocks of factor x factor pixels, in one go.

    Equal to `model.render.raster.interpolate` followed by `avg_pool2d`, background counting as zero, but the
    large map is never made: only small pixels that see the mesh are gathered and written.

    Args:
        fragments: visibility at (factor h, factor w).
        attributes: (V, C) shared by the batch, or (B, V, C); gradients flow to them.
        triangles: (F, 3) vertex numbers.
        factor: side of a block.

    Returns:
        (B, C, h, w).
    """
    batch, height, width = (n // s for n, s in zip(fragments.triangle.shape, (1, factor, factor), strict=True))
    blocks = fragments.triangle.view(batch, height, factor, width, factor)
    small = (blocks.amax((2, 4)).flatten() >= 0).nonzero()[:, 0]
    large = _pixels_of(small, width, factor)
    ids = fragments.triangle.view(-1)[large]
    weights = fragments.barycentric.view(-1, 3)[large].to(attributes.dtype) / factor**2  # 0 on background
    corners = triangles[ids.clamp_min(0)]  # (N, factor^2, 3)
    if attributes.dim() == 3:
        corners = corners + (small // (height * width) * attributes.shape[1])[:, None, None]
    table = attributes.reshape(-1, attributes.shape[-1])
    values = blend_rows(table, corners.flatten(1), weights.flatten(1))
    flat = table.new_zeros(batch * height * width, table.shape[1]).index_copy(0, small, values)
    return flat.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2)


def _pixels_of(small: Tensor, width: int, factor: int) -> Tensor:
    """(N, factor^2): what pixels of frames `factor` times as large lie in small pixels (N,) of frames of `width`."""
    row, column = small // width, small % width
    side = torch.arange(factor, device=small.device)
    within = (side[:, None] * (factor * width) + side).flatten()
    return (row * (factor * factor * width) + column * factor)[:, None] + within


def area_resize(maps: Tensor, size_hw: Size) -> Tensor:
    """Mean of maps (B, C, h, w) over the area of each target pixel, as in resizing guidance to a level."""
    return maps if maps.shape[-2:] == torch.Size(size_hw) else F.adaptive_avg_pool2d(maps, (size_hw[0], size_hw[1]))
