"""What the triangles that the pixels see carry there: differentiable in the attributes, on CPU and CUDA.

Speed comes from four things. Forward, `embedding_bag` weighs and sums the values of a triangle's three corners in one
pass, with an empty bag for each pixel of the background, so that every value is written once. Backward, only covered
pixels are read, and the pixels of a run (neighbours that see one triangle, about three in a head at 256 px) are summed
before they are added to their triangle: adding in no order costs most. What the triangles have then goes to the
vertices, once for the whole batch. And a CPU works on few frames at a time, whose rows stay in its cache.

Legend: B batch, V vertices, F triangles, C channels, H, W frame; P covered pixels.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from model.render.raster import Fragments

SHORT = 1 << 31  # numbers below fit into 32 bits, which move twice as fast
PIXELS_ON_CPU = 1 << 16  # whose gradient is worked on at once, in whole frames


def interpolate(fragments: Fragments, attributes: Tensor, triangles: Tensor) -> Tensor:
    """Blend vertex attributes over the triangles that the pixels see.

    On CUDA the sums of the gradient have no fixed order.

    Args:
        fragments: What `rasterize` found.
        attributes: (V, C) shared by the batch, or (B, V, C), of any C; gradients flow to them.
        triangles: Integer vertex indices as given to `rasterize`: (F, 3), or (B, F, 3).

    Returns:
        (B, C, H, W) in the dtype of `attributes`, 0 on the background; channels_last in memory.

    Raises:
        ValueError: If the attributes or triangles are of another shape or batch.
    """
    batch = len(fragments.triangle)
    for name, value, kinds in (("attributes", attributes, "V, C"), ("triangles", triangles, "F, 3")):
        if value.dim() not in (2, 3) or (value.dim() == 3 and len(value) != batch):
            raise ValueError(f"{name} must be ({kinds}) or ({batch}, {kinds}), got {tuple(value.shape)}")
    corners = triangles.to(fragments.triangle)
    if attributes.dim() == 3:  # one table for all meshes, V rows each
        first = torch.arange(batch, device=corners.device)[:, None, None] * attributes.shape[1]
        corners = corners + first
    values = attributes.flatten(0, -2).index_select(0, corners.flatten())  # (3F or 3BF, C): of every corner
    ids = fragments.triangle
    if corners.dim() == 3:
        offsets = torch.arange(batch, device=ids.device)[:, None, None] * corners.shape[1]
        ids = torch.where(ids >= 0, ids + offsets, ids)
    return _Blend.apply(values, ids, fragments.barycentric)


def interpolate_faces(fragments: Fragments, per_triangle: Tensor, background: float = -1) -> Tensor:
    """Look up one value per triangle (a part, a label) at every pixel.

    Args:
        fragments: What `rasterize` found.
        per_triangle: (F,) values of any dtype.
        background: Value where there is no triangle; -1 because 0 is the first part.

    Returns:
        (B, H, W) in the dtype of `per_triangle`.

    Raises:
        ValueError: If `per_triangle` is not one-dimensional.
    """
    if per_triangle.dim() != 1:
        raise ValueError(f"per_triangle must be (F,), got {tuple(per_triangle.shape)}")
    covered = fragments.covered
    values = per_triangle.new_full(covered.shape, background)
    values[covered] = per_triangle.to(values.device)[fragments.triangle[covered]]
    return values


def blend_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Weigh and sum K rows of a table (R, C) for each of N items.

    Args:
        table: (R, C); gradients flow to it, and to it alone.
        rows: (N, K) int64.
        weights: (N, K) in the dtype of `table`.

    Returns:
        (N, C).
    """
    return _Rows.apply(table, rows, weights)


class _Rows(torch.autograd.Function):
    """`embedding_bag` forward; backward it would sort all N K rows first, which costs three times as much as adding."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.count = len(table)
        return F.embedding_bag(rows, table.detach(), mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.new_zeros(ctx.count, grad.shape[1])
        for row, weight in zip(*(saved.unbind(1) for saved in ctx.saved_tensors), strict=True):
            total.index_add_(0, row, grad * weight[:, None])
        return total, None, None


class _Blend(torch.autograd.Function):
    """Values (3F, C) of the corners of triangles, blended over the triangles that pixels see: (B, C, H, W)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ids: Tensor, barycentric: Tensor) -> Tensor:
        number = torch.int32 if 3 * max(ids.numel(), len(values)) < SHORT else torch.int64
        seen = ids.flatten() >= 0
        pixel = seen.nonzero()[:, 0]
        triangle = ids.flatten().index_select(0, pixel).to(number)
        planes = [plane.reshape(-1).index_select(0, pixel).to(values.dtype) for plane in barycentric.unbind(-1)]
        # A bag a pixel, empty on the background: every value is written once, and none has to be zeroed before.
        bags = F.pad(seen.cumsum(0, dtype=number).mul_(3), (1, 0))
        rows = (3 * triangle)[:, None] + torch.arange(3, device=ids.device, dtype=number)
        out = F.embedding_bag(
            rows.flatten(),
            values.detach(),
            bags,
            mode="sum",
            per_sample_weights=torch.stack(planes, 1).flatten(),
            include_last_offset=True,
        )
        ctx.corners = len(values)
        ctx.save_for_backward(pixel, triangle, *planes)
        return out.unflatten(0, ids.shape).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        pixel, triangle, *planes = ctx.saved_tensors
        channels, size = grad.shape[1], grad.shape[2] * grad.shape[3]
        total = grad.new_zeros(ctx.corners // 3, 3 * channels)
        step = max(1, PIXELS_ON_CPU // size) if grad.device.type == "cpu" else max(1, len(grad))
        firsts = torch.arange(0, len(grad) + step, step, device=pixel.device).clamp_(max=len(grad))
        ends = torch.searchsorted(pixel, firsts * size).tolist()
        for frame, (first, last) in zip(range(0, len(grad), step), pairwise(ends), strict=True):
            part = slice(first, last)
            rows, at = _rows_of(grad[frame : frame + step], pixel[part] - frame * size)
            run, length = torch.unique_consecutive(triangle[part], return_counts=True)
            start = length.cumsum(0) - length
            sums = [F.embedding_bag(at, rows, start, mode="sum", per_sample_weights=plane[part]) for plane in planes]
            total.index_add_(0, run, torch.cat(sums, 1))
        return total.view(ctx.corners, channels), None, None


def _rows_of(frames: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Values of frames (b, C, H, W) with a pixel's channels side by side: (N, C), and where `pixel` (P,) are in them.

    Frames that do not lie like that in memory are turned, on a CPU only where they are covered.
    """
    turned = frames.permute(0, 2, 3, 1)
    if turned.is_contiguous() or frames.device.type != "cpu":
        return turned.contiguous().flatten(0, 2), pixel
    planes = frames.flatten(2).transpose(1, 2)
    ends = torch.searchsorted(pixel, torch.arange(len(planes) + 1) * planes.shape[1]).tolist()
    rows = [
        plane[pixel[a:b] - i * len(plane)] for i, (plane, (a, b)) in enumerate(zip(planes, pairwise(ends), strict=True))
    ]
    return rows[0] if len(rows) == 1 else torch.cat(rows), torch.arange(len(pixel))
