"""Which triangle does every pixel see, and what does that triangle carry there?

Visibility (`rasterize`) has no gradient; interpolation (`interpolate`) is differentiable in the attributes. Both
are plain torch and run unchanged on CPU and CUDA.

Visibility is exact. Vertices are snapped to integers (1/SUB of a pixel, 1/DEPTH_STEPS of the mesh's depth range)
that are held in float64, where sums and products of integers below 2**53 have no rounding error. So the answer does
not depend on the device, the batch or the chunks, and equals a brute-force search on the snapped vertices. The
stages: cull -> a flat list of scanline spans -> a flat list of fragments -> one `amin` per pixel over
`depth << 32 | triangle` -> barycentrics of the winners.

Legend: B batch, V vertices, F triangles, C channels, H, W frame; N live triangles, S spans, P covered pixels. The
edge function of corner k, `e_k(x, y) = a_k*x + b_k*y + c_k`, is zero on the opposite edge and `area2`, twice the
area, at the corner itself: e_k / area2 is the corner's barycentric weight, and e_0 = area2 - e_1 - e_2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SUB = 1024  # positions along one pixel
DEPTH_STEPS = 1 << 18  # depth levels between the nearest and the farthest vertex of a mesh
MAX_SIDE = 4096  # px of a frame; with GUARD_PX it keeps every edge function below 2**53
GUARD_PX = 4 * MAX_SIDE  # vertices farther than this from the frame's origin are not drawable
MAX_FRAGMENTS = 1 << 22  # fragments held at once: bounds the memory, whatever the mesh
MESHES_AT_ONCE = {"cpu": 8, "cuda": 64}  # a CPU wants to stay in its cache, a GPU wants few launches
TRIANGLE_BITS = 32
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
    over its drawable vertices: in front of the camera and within 16384 px of the frame's origin. A triangle with a
    corner that is not drawable is dropped, and so is one without area after snapping.

    Args:
        verts: (B, V, 3) float32 or float64: x, y in ndc and depth, which is a camera distance with `perspective`.
        triangles: (F, 3) integer vertex indices, shared by the batch.
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
    triangles = triangles.to(verts.device, torch.int64)
    shape = (len(verts), *size_hw)
    found = Fragments(triangles.new_full(shape, -1), verts.new_zeros(*shape, 3), verts.new_zeros(shape))
    if triangles.numel() == 0:
        return found
    step = MESHES_AT_ONCE[verts.device.type]
    for first in range(0, len(verts), step):
        part = slice(first, first + step)
        points = _snap(verts[part], size_hw, perspective)
        live = _cull(points, triangles, size_hw, cull_back)
        nearest = _nearest(live, len(points.x), size_hw)
        pixel = (nearest != NOTHING).nonzero()[:, 0]
        winner = nearest[pixel] & ((1 << TRIANGLE_BITS) - 1)
        weights = _weights(live, winner, pixel, size_hw)
        z = points.z.view(-1)[live.corners.index_select(1, winner)]
        if perspective:
            weights = weights / z
            weights = weights / weights.sum(0)
        found.triangle[part].view(-1)[pixel] = live.triangle[winner]
        found.barycentric[part].view(-1, 3)[pixel] = weights.t().to(verts.dtype)
        found.depth[part].view(-1)[pixel] = (weights * z).sum(0).to(verts.dtype)
    return found


def interpolate(fragments: Fragments, attributes: Tensor, triangles: Tensor) -> Tensor:
    """Blend vertex attributes over the triangles that the pixels see.

    Only covered pixels are read and written, so background costs nothing and is zero.

    Args:
        fragments: What `rasterize` found.
        attributes: (V, C) shared by the batch, or (B, V, C); gradients flow to them.
        triangles: (F, 3) integer vertex indices, as given to `rasterize`.

    Returns:
        (B, C, H, W) in the dtype of `attributes`, 0 on the background.

    Raises:
        ValueError: If the attributes are of another shape or batch.
    """
    batch, height, width = fragments.triangle.shape
    shared = attributes.dim() == 2
    if not shared and (attributes.dim() != 3 or len(attributes) != batch):
        raise ValueError(f"attributes must be (V, C) or ({batch}, V, C), got {tuple(attributes.shape)}")
    ids = fragments.triangle.view(-1)
    pixel = (ids >= 0).nonzero()[:, 0]
    corners = triangles.to(ids.device, torch.int64).index_select(0, ids[pixel])  # (P, 3)
    if not shared:
        corners = corners + (pixel // (height * width) * attributes.shape[1]).unsqueeze(1)
    table = attributes.reshape(-1, attributes.shape[-1])
    weights = fragments.barycentric.view(-1, 3).index_select(0, pixel).to(table.dtype)
    values = sum(table.index_select(0, corners[:, k]) * weights[:, k : k + 1] for k in range(3))
    flat = table.new_zeros(ids.numel(), table.shape[1]).index_copy(0, pixel, values)
    return flat.view(batch, height, width, -1).permute(0, 3, 1, 2).contiguous()


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


class _Points(NamedTuple):
    """Snapped vertices, each (B, V) float64. x, y are integers in 1/SUB px, NaN if not drawable."""

    x: Tensor
    y: Tensor
    level: Tensor  # integer depth level, 0 (nearest) to DEPTH_STEPS
    z: Tensor  # depth as given


class _Live(NamedTuple):
    """The triangles that survive culling, ordered by mesh, then index; each (N,) unless noted."""

    mesh: Tensor
    triangle: Tensor
    corners: Tensor  # (3, N) indices into the flat (B*V) vertices
    edges: Tensor  # (7, N) float64: a_1, b_1, c_1, a_2, b_2, c_2, area2
    levels: Tensor  # (3, N) float64: level_0, level_1 - level_0, level_2 - level_0
    box: Tensor  # (4, N) float64: first and last column, first and last row that the bounding box can cover


def _snap(verts: Tensor, size_hw: tuple[int, int], perspective: bool) -> _Points:
    x, y, z = verts.to(torch.float64).unbind(-1)
    x = ((x + 1) * (0.5 * size_hw[1] * SUB)).round()
    y = ((y + 1) * (0.5 * size_hw[0] * SUB)).round()
    drawable = (x.abs() <= GUARD_PX * SUB) & (y.abs() <= GUARD_PX * SUB)
    if perspective:
        drawable &= z > 0
    linear = -1 / z if perspective else z
    near = torch.where(drawable, linear, torch.inf).amin(1, keepdim=True)
    far = torch.where(drawable, linear, -torch.inf).amax(1, keepdim=True)
    depth_range = torch.where(far > near, far - near, 1.0)
    level = ((linear - near) / depth_range * DEPTH_STEPS).round()
    return _Points(torch.where(drawable, x, torch.nan), torch.where(drawable, y, torch.nan), level, z)


def _cull(points: _Points, triangles: Tensor, size_hw: tuple[int, int], cull_back: bool) -> _Live:
    batch, num_verts = points.x.shape
    (x0, x1, x2), (y0, y1, y2) = (
        v.index_select(1, triangles.t().reshape(-1)).view(batch, 3, -1).unbind(1) for v in (points.x, points.y)
    )
    area2 = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    keep = (area2 > 0 if cull_back else area2.abs() > 0).view(-1).nonzero()[:, 0]  # NaN is never greater
    mesh = keep // len(triangles)
    triangle = keep - mesh * len(triangles)
    corners = triangles.t().index_select(1, triangle) + mesh * num_verts
    x, y, level = (v.view(-1)[corners] for v in (points.x, points.y, points.level))
    area2 = area2.view(-1)[keep]
    side = area2.sign()  # -1 for a back face: makes its inside positive too
    a1, b1 = (y[0] - y[2]) * side, (x[2] - x[0]) * side
    a2, b2 = (y[1] - y[0]) * side, (x[0] - x[1]) * side
    edges = (a1, b1, -(a1 * x[0] + b1 * y[0]), a2, b2, -(a2 * x[0] + b2 * y[0]), area2.abs())
    half = SUB // 2
    box = (
        ((x.amin(0) - half) / SUB).ceil().clamp(min=0),
        ((x.amax(0) - half) / SUB).floor().clamp(max=size_hw[1] - 1),
        ((y.amin(0) - half) / SUB).ceil().clamp(min=0),
        ((y.amax(0) - half) / SUB).floor().clamp(max=size_hw[0] - 1),
    )
    levels = (level[0], level[1] - level[0], level[2] - level[0])
    return _Live(mesh, triangle, corners, torch.stack(edges), torch.stack(levels), torch.stack(box))


def _nearest(live: _Live, batch: int, size_hw: tuple[int, int]) -> Tensor:
    """(B*H*W,) int64: `depth level << 32 | index into live` of the nearest triangle, or NOTHING."""
    height, width = size_hw
    nearest = live.triangle.new_full((batch * height * width,), NOTHING)
    rows = (live.box[3] - live.box[2] + 1).clamp(min=0) * (live.box[1] >= live.box[0])
    slot, row = _expand(rows.long())
    a1, b1, c1, a2, b2, c2, area2 = live.edges.index_select(1, slot)
    left, right, top, _ = live.box.index_select(1, slot)
    i = top + row
    y = i * SUB + SUB // 2
    e1, e2 = b1 * y + (c1 + a1 * (SUB // 2)), b2 * y + (c2 + a2 * (SUB // 2))  # at column 0
    e0, a0 = area2 - e1 - e2, -(a1 + a2)
    for e, a in ((e0, a0), (e1, a1), (e2, a2)):
        # e + a*SUB*j >= 0. A quotient that is no integer is at least 2**-36 away from one: rounding cannot reach it.
        bound = -e / (a * SUB)
        left = torch.where(a > 0, torch.maximum(left, bound.ceil()), left)
        right = torch.where(a < 0, torch.minimum(right, bound.floor()), right)
        right = torch.where((a == 0) & (e < 0), -1.0, right)
    count = (right - left + 1).clamp(min=0).long()
    _, d1, d2 = live.levels.index_select(1, slot)
    step = (a1 * d1 + a2 * d2) * SUB
    start = (e1 + a1 * SUB * left) * d1 + (e2 + a2 * SUB * left) * d2
    first = (live.mesh[slot] * height + i.long()) * width + left.long()
    span, column = _expand(count)
    level = live.levels[0][slot][span] + ((start[span] + column * step[span]) / area2[span]).floor()
    key = (level.long() << TRIANGLE_BITS) | slot[span]
    return nearest.scatter_reduce_(0, first[span] + column.long(), key, "amin")


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat index n counts[n] times; return the indices and the position within each run (int64)."""
    index = torch.repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    return index, torch.arange(len(index), device=counts.device) - starts[index]


def _weights(live: _Live, winner: Tensor, pixel: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """(3, P) float64 barycentrics of the winners, linear in the frame."""
    a1, b1, c1, a2, b2, c2, area2 = live.edges.index_select(1, winner)
    row = pixel // size_hw[1]
    x = (pixel - row * size_hw[1]) * SUB + SUB // 2
    y = row % size_hw[0] * SUB + SUB // 2
    e1, e2 = a1 * x + b1 * y + c1, a2 * x + b2 * y + c2
    return torch.stack((area2 - e1 - e2, e1, e2)) / area2


def _check(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int], perspective: bool) -> None:
    if verts.dim() != 3 or verts.shape[2] != 3 or verts.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"verts must be (B, V, 3) float32 or float64, got {tuple(verts.shape)} {verts.dtype}")
    if triangles.dim() != 2 or triangles.shape[1] != 3 or triangles.is_floating_point():
        raise ValueError(f"triangles must be (F, 3) integers, got {tuple(triangles.shape)} {triangles.dtype}")
    if not all(1 <= side <= MAX_SIDE for side in size_hw):
        raise ValueError(f"size_hw must be 1 to {MAX_SIDE} px on each side, got {tuple(size_hw)}")
    if triangles.numel() and not 0 <= triangles.min() <= triangles.max() < verts.shape[1]:
        raise ValueError(
            f"triangles name vertices {triangles.min()} to {triangles.max()}, but there are {verts.shape[1]}"
        )
    bad = ~verts.isfinite().all(2)
    if perspective:
        bad &= ~(verts[..., 2] <= 0)
    if bad.any():
        meshes = bad.any(1).nonzero()[:, 0].tolist()
        raise ValueError(f"{bad.sum()} vertices are not finite, in meshes {meshes[:8]} of the batch")
