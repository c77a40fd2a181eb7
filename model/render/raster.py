"""Which triangle does every pixel see? Plain torch that runs unchanged on CPU and CUDA.

Visibility has no gradient; what the triangles carry is blended, differentiably, by model/render/interpolate.py.

Visibility is exact. Vertices are snapped to multiples of 1/SUB px and of 1/DEPTH_STEPS of the mesh's depth range.
They are held in float64, where sums and products that fit in 53 bits have no rounding error: coverage is exact for
every triangle, depth for triangles up to 16384 px2 (in larger ones the last depth level is rounded). So the answer
does not depend on the device, the batch or the chunks, and equals a brute-force search on the snapped vertices.
The stages: reject back faces -> edge functions and boxes of the rest -> a flat list of scanline spans -> a flat list
of fragments -> one `amin` per pixel over `depth << 32 | triangle` -> barycentrics of the winners. On a CPU the lists
are worked on in pieces that stay in the cache, and in place: writing to fresh memory costs more than the arithmetic.

Legend: B batch, V vertices, F triangles, C channels, H, W frame; N live triangles, S spans, P covered pixels. The
edge function of corner k, `e_k(x, y) = a_k*x + b_k*y + c_k`, is zero on the opposite edge and `area2`, twice the
area, at the corner itself: e_k / area2 is the corner's barycentric weight, and e_0 = area2 - e_1 - e_2. Inside,
all three are >= 0. x and y count from the centre of the first pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

SUB = 1024  # positions along one pixel
DEPTH_STEPS = 1 << 18  # depth levels between the nearest and the farthest vertex of a mesh
MAX_SIDE = 4096  # px of a frame; with GUARD_PX it keeps every edge function within 53 bits
GUARD_PX = 4 * MAX_SIDE  # vertices farther than this from the first pixel, in x or y, are not drawable
MAX_TRIANGLES = 1 << 26  # of a mesh; with MESHES_ON_GPU it keeps their numbers within TRIANGLE_BITS
# Meshes in one pass, pixels of bounding boxes and covered pixels worked on at once: they bound the memory, whatever the
# mesh. A GPU wants few launches. A CPU wants to stay in its cache, and pieces mostly too short for torch to share among
# threads (it does from 32768 elements on): on a busy machine waking a thread takes longer than such an operation.
MESHES_ON_CPU, MAX_FRAGMENTS, MAX_PIXELS = 3, 1 << 16, 32_000
MESHES_ON_GPU, MAX_FRAGMENTS_ON_GPU, MAX_PIXELS_ON_GPU = 64, 1 << 20, 1 << 22
TINY = 2.0**-100  # a positive slope less than any other
TRIANGLE_BITS = 32
INTEGERS = (torch.uint8, torch.int16, torch.int32, torch.int64)
NOTHING = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Fragments:
    """What each pixel of a batch of frames sees.

    Attributes:
        triangle: (B, H, W) int64 index of the nearest triangle, -1 where there is none.
        barycentric: (B, H, W, 3) weights of that triangle's corners, perspective-correct if asked; sum 1, or 0.
        depth: (B, H, W) depth of the surface in the vertices' own units, 0 where there is none.
    """

    triangle: Tensor
    barycentric: Tensor
    depth: Tensor

    @property
    def covered(self) -> Tensor:
        """(B, H, W) bool: pixels that see a triangle."""
        return self.triangle >= 0

    def __getitem__(self, items: slice) -> "Fragments":
        """Fragments of a slice of the batch."""
        return Fragments(self.triangle[items], self.barycentric[items], self.depth[items])


@torch.no_grad()
def rasterize(
    verts: Tensor,
    triangles: Tensor,
    size_hw: tuple[int, int],
    *,
    perspective: bool = False,
    cull_back: bool = True,
) -> Fragments:
    """Find the nearest triangle at every pixel centre.

    Convention: x, y are edge-aligned ndc (x right, y down; the centre of pixel (i, j) is px (j+0.5, i+0.5)); a
    smaller depth is nearer. Triangles are counter-clockwise seen from outside by a viewer whose y points up; the
    frame's y points down, so a front face has positive area here in the order 0, 2, 1. Edges are inclusive; where
    depths tie, the lowest triangle index wins.

    Depth is compared in steps of 1/2**18 of the mesh's own depth range (of 1/depth with `perspective`: that is what
    varies linearly over the frame), so neither units nor an offset matter. The range is taken for each mesh alone,
    over its drawable vertices: in front of the camera and within 16384 px of the first pixel. A triangle with a corner
    that is not drawable is dropped, and so is one without area after snapping.

    Args:
        verts: (B, V, 3) float32 or float64: x, y in ndc and depth, which is a camera distance with `perspective`.
        triangles: Integer vertex indices, (F, 3) shared by the batch or (B, F, 3) one list a mesh. Meshes of fewer
            triangles are filled up with ones without area, such as (0, 0, 0); at most 2**26 a mesh.
        size_hw: Height and width of the frame in px, each 1 to 4096.
        perspective: Make barycentrics perspective-correct; a vertex at depth <= 0 is behind the camera.
        cull_back: Drop triangles that show their back.

    Returns:
        `Fragments`, without gradient, on the device and in the dtype of `verts`.

    Raises:
        ValueError: On a wrong shape or dtype, a size outside the limits, an index outside the vertices, or a vertex
            that is not finite (one behind the camera may be: projecting it can divide by zero).
    """
    _check(verts, triangles, size_hw, perspective)
    corners = triangles.to(verts.device, torch.int64).movedim(-1, 0).contiguous()  # (3, F) or (3, B, F)
    shape = (len(verts), *size_hw)
    ids, weights, depth = corners.new_full(shape, -1), verts.new_zeros(3, *shape), verts.new_zeros(shape)
    limits = (MESHES_ON_GPU, MAX_FRAGMENTS_ON_GPU, MAX_PIXELS_ON_GPU)
    step, fragments, pixels = (MESHES_ON_CPU, MAX_FRAGMENTS, MAX_PIXELS) if verts.device.type == "cpu" else limits
    for first in range(0, len(verts) if triangles.numel() else 0, step):
        part = slice(first, first + step)
        points = _snap(verts[part], size_hw, perspective)
        own = corners[:, part] if corners.dim() == 3 else corners
        live = _cull(points, own, size_hw, cull_back)
        nearest = _nearest(live, len(points.x), size_hw, fragments)
        planes = [plane[part].view(-1) for plane in (depth, *weights)]
        for pixel in (nearest != NOTHING).nonzero()[:, 0].split(pixels):
            winner = nearest.index_select(0, pixel).bitwise_and_((1 << TRIANGLE_BITS) - 1)
            ids[part].view(-1).scatter_(0, pixel, live.triangle.index_select(0, winner))
            for plane, value in zip(planes, _surface(live, winner, pixel, size_hw, perspective), strict=True):
                plane.scatter_(0, pixel, value.to(plane.dtype))
    return Fragments(ids, weights.permute(1, 2, 3, 0), depth)


class _Points(NamedTuple):
    """Snapped vertices, each (B, V) float64."""

    x: Tensor  # multiple of 1/SUB px where the centre of column j is j; NaN if not drawable
    y: Tensor  # the same for rows
    level: Tensor  # whole depth level, 0 (nearest) to DEPTH_STEPS
    z: Tensor  # depth as given


class _Live(NamedTuple):
    """The triangles to draw, ordered by mesh, then index; flat (N,) tensors."""

    mesh: Tensor  # int64
    triangle: Tensor  # int64
    depths: tuple[Tensor, ...]  # of the three corners, as given
    edges: tuple[Tensor, ...]  # a_1, b_1, c_1, a_2, b_2, c_2, area2
    levels: tuple[Tensor, ...]  # level_0, level_1 - level_0, level_2 - level_0
    box: tuple[Tensor, ...]  # left, top, columns, rows of the pixel centres within the bounding box; it may be empty


def _snap(verts: Tensor, size_hw: tuple[int, int], perspective: bool) -> _Points:
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
    return _Points(torch.where(drawable, x, torch.nan), torch.where(drawable, y, torch.nan), level, z)


def _cull(points: _Points, corners: Tensor, size_hw: tuple[int, int], cull_back: bool) -> _Live:
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


def _nearest(live: _Live, batch: int, size_hw: tuple[int, int], fragments: int) -> Tensor:
    """(B*H*W,) int64: `depth level << 32 | index into live` of the nearest triangle, or NOTHING."""
    nearest = live.mesh.new_full((batch * size_hw[0] * size_hw[1],), NOTHING)
    work = (live.box[2] * live.box[3]).cumsum(0)
    limits = torch.arange(1, int(work[-1:].sum()) // fragments + 1, device=work.device) * float(fragments)
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


def _check(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int], perspective: bool) -> None:
    if verts.dim() != 3 or verts.shape[2] != 3 or verts.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"verts must be (B, V, 3) float32 or float64, got {tuple(verts.shape)} {verts.dtype}")
    fits = triangles.dim() in (2, 3) and triangles.shape[-1] == 3 and triangles.shape[:-2] in ((), verts.shape[:1])
    if not fits or triangles.dtype not in INTEGERS:
        wanted = f"(F, 3) or ({len(verts)}, F, 3)"
        raise ValueError(f"triangles must be {wanted} integers, got {tuple(triangles.shape)} {triangles.dtype}")
    if triangles.shape[-2] > MAX_TRIANGLES:
        raise ValueError(f"at most {MAX_TRIANGLES} triangles a mesh, got {triangles.shape[-2]}")
    if not all(1 <= side <= MAX_SIDE for side in size_hw):
        raise ValueError(f"size_hw must be 1 to {MAX_SIDE} px on each side, got {tuple(size_hw)}")
    if triangles.numel():
        lowest, highest = (int(index) for index in triangles.aminmax())
        if not 0 <= lowest <= highest < verts.shape[1]:
            raise ValueError(f"triangles name vertices {lowest} to {highest}, but there are {verts.shape[1]}")
    if verts.sum().isfinite():  # one pass that no infinity or NaN survives; a sum that overflows is looked into below
        return
    bad = ~verts.isfinite().all(2)
    if perspective:
        bad &= ~(verts[..., 2] <= 0)
    if bad.any():
        meshes = bad.any(1).nonzero()[:, 0].tolist()
        raise ValueError(f"{bad.sum()} vertices are not finite, in meshes {meshes[:8]} of the batch")
