"""What the triangles that the pixels see carry there: differentiable in the attributes, on CPU and CUDA.

Only covered pixels are read and written. Speed comes from three things. Forward, `embedding_bag` weighs and sums three
rows of the table in one pass. Backward, the pixels of a run (neighbours that see one triangle, about three in a head
at 256 px) are summed before they are scattered, since scattering costs most. And a CPU works on few frames at a time:
larger buffers go back to the system after each use, and getting them again costs more than the arithmetic.

Legend: B batch, V vertices, F triangles, C channels, H, W frame; P covered pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from model.raster import Fragments

PIXELS_ON_CPU = 1 << 17  # worked on at once, in whole frames; 2 of 256 px were fastest of 1 to 16


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
    corners = triangles.to(fragments.triangle).movedim(-1, 0)  # (3, F) or (3, B, F)
    if attributes.dim() == 3:  # one table for all meshes, V rows each
        first = torch.arange(batch, device=corners.device)[:, None] * attributes.shape[1]
        corners = (corners if corners.dim() == 3 else corners[:, None]) + first
    table = attributes.flatten(0, -2)
    return _Blend.apply(table, _pieces(fragments, corners.contiguous(), table.dtype), fragments.triangle.shape)


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
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.new_zeros(ctx.count, grad.shape[1])
        for row, weight in zip(*(saved.unbind(1) for saved in ctx.saved_tensors), strict=True):
            total.index_add_(0, row, grad * weight[:, None])
        return total, None, None


@dataclass(frozen=True)
class _Piece:
    """The covered pixels of some frames, in scanline order."""

    frames: slice  # of the batch
    pixel: Tensor  # (P,) index into the frames' pixels
    triangle: Tensor  # (P,) index into the flat triangles
    corners: Tensor  # (P, 3) rows of the table
    weights: Tensor  # (3, P)


def _pieces(fragments: Fragments, corners: Tensor, dtype: torch.dtype) -> Iterator[_Piece]:
    """Cut a batch into pieces; `corners` (3, F) or (3, B, F) are rows of the table."""
    batch, height, width = fragments.triangle.shape
    on_cpu = fragments.triangle.device.type == "cpu"
    step = max(1, PIXELS_ON_CPU // (height * width)) if on_cpu else max(1, batch)
    for first in range(0, batch, step):
        frames = slice(first, first + step)
        triangle = fragments.triangle[frames].reshape(-1)
        pixel = (triangle >= 0).nonzero()[:, 0]
        triangle = triangle.index_select(0, pixel)
        own = corners
        if corners.dim() == 3:
            own = corners[:, frames].flatten(1)
            triangle = triangle + pixel // (height * width) * corners.shape[2]
        planes = fragments.barycentric[frames].unbind(-1)
        yield _Piece(
            frames,
            pixel,
            triangle,
            torch.stack([corner.index_select(0, triangle) for corner in own], 1),
            torch.stack([plane.reshape(-1).index_select(0, pixel).to(dtype) for plane in planes]),
        )


class _Blend(torch.autograd.Function):
    """Rows of a table (N, C), blended into (B, C, H, W)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, pieces: Iterator[_Piece], shape: torch.Size) -> Tensor:
        ctx.pieces, ctx.rows = [], len(table)
        out = table.new_zeros(*shape, table.shape[1])
        for piece in pieces:
            if ctx.needs_input_grad[0]:
                ctx.pieces.append(piece)
            weights = piece.weights.t().contiguous()
            values = F.embedding_bag(piece.corners, table, mode="sum", per_sample_weights=weights)
            out[piece.frames].flatten(0, 2).index_copy_(0, piece.pixel, values)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.new_zeros(ctx.rows, grad.shape[1])
        for piece in ctx.pieces:
            rows, at = _rows_of(grad[piece.frames], piece.pixel)
            length = torch.unique_consecutive(piece.triangle, return_counts=True)[1]
            start = length.cumsum(0) - length
            corners = piece.corners.index_select(0, start).t().contiguous()
            for corner, weights in zip(corners, piece.weights, strict=True):
                sums = F.embedding_bag(at, rows, start, mode="sum", per_sample_weights=weights)
                total.index_add_(0, corner, sums)
        return total, None, None


def _rows_of(frames: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Values of frames (b, C, H, W) with a pixel's channels side by side: (N, C), and where `pixel` (P,) are in them.

    Frames that do not lie like that in memory are turned, on a CPU only where they are covered.
    """
    turned = frames.permute(0, 2, 3, 1)
    if turned.is_contiguous() or frames.device.type != "cpu":
        return turned.contiguous().flatten(0, 2), pixel
    planes = frames.flatten(2)
    ends = torch.searchsorted(pixel, torch.arange(len(planes) + 1) * planes.shape[2]).tolist()
    rows = frames.new_empty(len(pixel), frames.shape[1])
    for i, (plane, (first, last)) in enumerate(zip(planes, pairwise(ends), strict=True)):
        rows[first:last] = plane.index_select(1, pixel[first:last] - i * planes.shape[2]).t()
    return rows, torch.arange(len(pixel))
