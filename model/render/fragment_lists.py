"""Visibility in flat lists, of plain torch: for devices that want few launches, and on a CPU the loops' counterpart.

The stages: reject back faces -> edge functions and boxes of the rest -> a flat list of scanline spans -> a flat list
of fragments -> one `amin` per pixel over `depth << 32 | triangle` -> barycentrics of the winners. Legend as in
model/render/raster.py.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from model.render.snapped import Points, snap

# Meshes in one pass, pixels of bounding boxes and covered pixels worked on at once: they bound the memory, whatever the
# mesh.
MESHES, MAX_FRAGMENTS, MAX_PIXELS = 64, 1 << 20, 1 << 22
TINY = 2.0**-100  # a positive slope less than any other
TRIANGLE_BITS = 32
NOTHING = torch.iinfo(torch.int64).max


def fill(
    verts: Tensor,
    triangles: Tensor,
    cull_back: bool,
    perspective: bool,
    ids: Tensor,
    barycentric: Tensor,
    depth: Tensor,
) -> None:
    """Write what the pixels of each mesh see.

    Arguments are as `model.render.triangle_loops.fill` has them, but for vertices as `rasterize` was given them: they
    are snapped some meshes at a time.
    """
    size_hw = (ids.shape[1], ids.shape[2])
    corners = triangles.movedim(-1, 0).contiguous()  # (3, 1, F) or (3, B, F)
    for first in range(0, len(verts), MESHES):
        part = slice(first, first + MESHES)
        points = snap(verts[part], size_hw, perspective)
        live = _cull(points, corners[:, part] if corners.shape[1] > 1 else corners, size_hw, cull_back)
        nearest = _nearest(live, len(points.x), size_hw)
        flat_ids, flat_depth, flat_weights = ids[part].view(-1), depth[part].view(-1), barycentric[part].view(-1, 3)
        for pixel in (nearest != NOTHING).nonzero()[:, 0].split(MAX_PIXELS):
            winner = nearest.index_select(0, pixel).bitwise_and_((1 << TRIANGLE_BITS) - 1)
            flat_ids.scatter_(0, pixel, live.triangle.index_select(0, winner))
            far, *weights = _surface(live, winner, pixel, size_hw, perspective)
            flat_depth.scatter_(0, pixel, far.to(depth.dtype))
            flat_weights.index_copy_(0, pixel, torch.stack(weights, 1).to(barycentric.dtype))


class _Live(NamedTuple):
    """The triangles to draw, ordered by mesh, then index; flat (N,) tensors."""

    mesh: Tensor  # int64
    triangle: Tensor  # int64
    depths: tuple[Tensor, ...]  # of the three corners, as given
    edges: tuple[Tensor, ...]  # a_1, b_1, c_1, a_2, b_2, c_2, area2
    levels: tuple[Tensor, ...]  # level_0, level_1 - level_0, level_2 - level_0
    box: tuple[Tensor, ...]  # left, top, columns, rows of the pixel centres within the bounding box; it may be empty


def _cull(points: Points, corners: Tensor, size_hw: tuple[int, int], cull_back: bool) -> _Live:
    (batch, num_verts), num_triangles = points.x.shape, corners.shape[-1]
    offsets = torch.arange(0, batch * num_verts, num_verts, device=corners.device)
    numbers = [(offsets[:, None] + corner).view(-1) for corner in corners]
    x = tuple(points.x.view(-1).index_select(0, number) for number in numbers)
    y = tuple(points.y.view(-1).index_select(0, number) for number in numbers)
    area2 = (x[2] - x[0]).mul_(y[1] - y[0]).sub_((x[1] - x[0]).mul_(y[2] - y[0]))
    keep = ((area2 if cull_back else area2.abs()) > 0).nonzero()[:, 0]  # false for NaN; half of a closed mesh is left
    mesh = keep // num_triangles
    kept, x, y, area2 = _take(numbers, keep), _take(x, keep), _take(y, keep), area2.index_select(0, keep)
    left = torch.minimum(torch.minimum(x[0], x[1]), x[2]).ceil_().clamp_(min=0)
    top = torch.minimum(torch.minimum(y[0], y[1]), y[2]).ceil_().clamp_(min=0)
    right = torch.maximum(torch.maximum(x[0], x[1]), x[2]).floor_().clamp_(max=size_hw[1] - 1)
    bottom = torch.maximum(torch.maximum(y[0], y[1]), y[2]).floor_().clamp_(max=size_hw[0] - 1)
    columns, rows = right.sub_(left).add_(1).clamp_(min=0), bottom.sub_(top).add_(1).clamp_(min=0)
    depths = tuple(points.z.view(-1).index_select(0, number) for number in kept)
    level = [points.level.view(-1).index_select(0, number) for number in kept]
    side = area2.sign()  # -1 for a back face: makes its inside positive too
    a1, b1 = (y[0] - y[2]).mul_(side), (x[2] - x[0]).mul_(side)
    a2, b2 = (y[1] - y[0]).mul_(side), (x[0] - x[1]).mul_(side)
    edges = (a1, b1, -(a1 * x[0] + b1 * y[0]), a2, b2, -(a2 * x[0] + b2 * y[0]), area2.abs_())
    levels = (level[0], level[1] - level[0], level[2] - level[0])
    return _Live(mesh, keep - mesh * num_triangles, depths, edges, levels, (left, top, columns, rows * (columns > 0)))


def _nearest(live: _Live, batch: int, size_hw: tuple[int, int]) -> Tensor:
    """(B*H*W,) int64: `depth level << 32 | index into live` of the nearest triangle, or NOTHING."""
    nearest = live.mesh.new_full((batch * size_hw[0] * size_hw[1],), NOTHING)
    work = (live.box[2] * live.box[3]).cumsum(0)
    limits = torch.arange(1, int(work[-1:].sum()) // MAX_FRAGMENTS + 1, device=work.device) * float(MAX_FRAGMENTS)
    bounds = [0, *torch.searchsorted(work, limits.to(work)).tolist(), len(work)]
    for begin, end in pairwise(bounds):
        pixel, key = _scan(live, begin, end, size_hw)
        nearest.scatter_reduce_(0, pixel, key, "amin")
    return nearest


def _scan(live: _Live, begin: int, end: int, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Flat pixels that the live triangles `begin` to `end` cover, and the keys of `_nearest` there."""
    cut = slice(begin, end)
    a1, b1, c1, a2, b2, c2, area2 = (column[cut] for column in live.edges)
    level0, d1, d2 = (column[cut] for column in live.levels)
    left, top, columns, rows = (column[cut] for column in live.box)
    e1 = (a1 * left).add_(b1 * top).add_(c1)  # at the box's first pixel
    e2 = (a2 * left).add_(b2 * top).add_(c2)
    first = (live.mesh[cut] * size_hw[0] + top).mul_(size_hw[1]).add_(left)
    slope = (a1 * d1).add_(a2 * d2)  # of the depth numerator along a row
    number = torch.arange(begin, end, device=rows.device, dtype=rows.dtype)
    key = number.add_(level0, alpha=float(1 << TRIANGLE_BITS))  # at most 51 bits: exact
    slot, row = _expand(rows)
    a1, e1 = a1.index_select(0, slot), b1.index_select(0, slot).mul_(row).add_(e1.index_select(0, slot))
    a2, e2 = a2.index_select(0, slot), b2.index_select(0, slot).mul_(row).add_(e2.index_select(0, slot))
    last = columns.index_select(0, slot).sub_(1)
    skip, spare = torch.zeros_like(row), torch.zeros_like(row)  # pixels outside at the row's start, and at its end
    for e, a in ((area2.index_select(0, slot).sub_(e1).sub_(e2), (a1 + a2).neg_()), (e1, a1), (e2, a2)):
        # Steps of a from a negative e to zero. A quotient below 4096 that is not whole is at least 2**-35 away from
        # whole, more than its rounding error. Where a has the other sign or is 0, e < 0 empties the row: TINY.
        torch.maximum(skip, (e / a.clamp(min=TINY)).neg_(), out=skip)
        torch.maximum(spare, (a * last).add_(e).div_(a.clamp(max=-TINY)), out=spare)
    skip.ceil_()  # the tensors of a row are spent from here on
    count = last.add_(1).sub_(skip).sub_(spare.ceil_()).clamp_(min=0)
    e1.add_(a1.mul_(skip)).mul_(d1.index_select(0, slot))
    e2.add_(a2.mul_(skip)).mul_(d2.index_select(0, slot))
    start = e1.add_(e2)
    first = skip.add_(first.index_select(0, slot)).add_(row.mul_(size_hw[1]))
    span, column = _expand(count)
    slot = slot.index_select(0, span)
    rise = slope.index_select(0, slot).mul_(column).add_(start.index_select(0, span))
    level = rise.div_(area2.index_select(0, slot)).floor_()
    key = key.index_select(0, slot).add_(level, alpha=float(1 << TRIANGLE_BITS))
    return column.add_(first.index_select(0, span)).long(), key.long()


def _surface(
    live: _Live, winner: Tensor, pixel: Tensor, size_hw: tuple[int, int], perspective: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depth and the three barycentrics, each (P,) float64, of the winning triangles at flat pixels."""
    a1, b1, c1, a2, b2, c2, area2 = _take(live.edges, winner)
    z0, z1, z2 = _take(live.depths, winner)
    x = pixel.double()
    row = (x / size_hw[1]).floor_()
    x.sub_(row, alpha=size_hw[1])
    y = (row / size_hw[0]).floor_().mul_(-size_hw[0]).add_(row)
    e1, e2 = c1.addcmul_(a1, x).addcmul_(b1, y), c2.addcmul_(a2, x).addcmul_(b2, y)
    w0, w1, w2 = (area2 - e1).sub_(e2).div_(area2), e1.div_(area2), e2.div_(area2)
    if perspective:
        w0, w1, w2 = w0.div_(z0), w1.div_(z1), w2.div_(z2)
        total = (w0 + w1).add_(w2)
        w0, w1, w2 = w0.div_(total), w1.div_(total), w2.div_(total)
    return z0.mul_(w0).add_(z1.mul_(w1)).add_(z2.mul_(w2)), w0, w1, w2


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat index n counts[n] times; return the indices (int64) and the position within each run (float64)."""
    index = torch.repeat_interleave(counts.long())
    starts = counts.cumsum(0).sub_(counts)
    position = torch.arange(len(index), device=counts.device, dtype=counts.dtype)
    return index, position.sub_(starts.index_select(0, index))


def _take(columns: Sequence[Tensor], index: Tensor) -> tuple[Tensor, ...]:
    """Gather flat columns one by one: on CPU several times faster than along a dimension of a stacked table."""
    return tuple(column.index_select(0, index) for column in columns)
