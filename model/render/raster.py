"""Which triangle does every pixel see?

Visibility has no gradient; what the triangles carry is blended, differentiably, by model/render/interpolate.py.

Visibility is exact. Vertices are snapped to multiples of 1/SUB px and of 1/DEPTH_STEPS of the mesh's depth range.
They are held in float64, where sums and products that fit in 53 bits have no rounding error: coverage is exact for
every triangle, depth for triangles up to 16384 px2 (in larger ones the last depth level is rounded). So the answer
does not depend on the device, the batch or the chunks, and equals a brute-force search on the snapped vertices.

A CPU finds it triangle by triangle (model/render/triangle_loops.py), any other device in flat lists of plain torch
(model/render/fragment_lists.py): the same operations on each number, so the same bits.

Legend: B batch, V vertices, F triangles, C channels, H, W frame; N live triangles, S spans, P covered pixels. The
edge function of corner k, `e_k(x, y) = a_k*x + b_k*y + c_k`, is zero on the opposite edge and `area2`, twice the
area, at the corner itself: e_k / area2 is the corner's barycentric weight, and e_0 = area2 - e_1 - e_2. Inside,
all three are >= 0. x and y count from the centre of the first pixel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.render import fragment_lists
from model.render.snapped import MAX_SIDE, snap

LOOPS_ON = ("cpu",)  # types of devices whose pixels numba's loops fill
MAX_TRIANGLES = 1 << 26  # of a mesh; with the meshes of one pass of lists it keeps their numbers within 32 bits
INTEGERS = (torch.uint8, torch.int16, torch.int32, torch.int64)


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
    shape = (len(verts), *size_hw)
    ids = torch.full(shape, -1, device=verts.device)
    weights, depth = verts.new_zeros(*shape, 3), verts.new_zeros(shape)
    found = Fragments(ids, weights, depth)
    if not len(verts) or not triangles.numel():
        return found
    own = triangles.to(verts.device, torch.int64)
    own = own if own.dim() == 3 else own[None]
    if verts.device.type in LOOPS_ON:
        from model.render.triangle_loops import fill  # imports a compiler, which only this needs

        points = snap(verts, size_hw, perspective)
        fill(points, own, cull_back, perspective, ids, weights, depth)
    else:
        fragment_lists.fill(verts, own, cull_back, perspective, ids, weights, depth)
    return found


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
