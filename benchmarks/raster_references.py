"""Other ways to rasterise and interpolate, to stand beside model/render/raster.py and model/render/interpolate.py.

Three are written here in plain torch, as one would without thinking of speed; one is this project's own for a GPU, on a
CPU; two are packages, used where they are installed. All take ndc with y down and a depth of which the smaller is
nearer.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from model.render import fragment_lists
from model.render.raster import Fragments

CANDIDATES = 1 << 21  # pixels tested at once by the vectorised z-buffer


def rasterize_by_lists(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> Fragments:
    """What a GPU would do, with the same answer as `model.render.raster.rasterize`."""
    shape = (len(verts), *size_hw)
    ids, weights, depth = torch.full(shape, -1), verts.new_zeros(*shape, 3), verts.new_zeros(shape)
    fragment_lists.fill(verts, triangles[None], True, False, ids, weights, depth)
    return Fragments(ids, weights, depth)


def rasterize_by_loop(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The plain z-buffer: for every triangle, test the pixels of its box. Returns ids (H, W) of one mesh (V, 3)."""
    height, width = size_hw
    verts = verts.double()
    points = (verts + 1) * 0.5 * verts.new_tensor([width, height, 0])
    ids = torch.full(size_hw, -1)
    nearest = torch.full(size_hw, torch.inf, dtype=torch.float64)
    for number, corners in enumerate(triangles.tolist()):
        (x0, x1, x2), (y0, y1, y2) = points[corners, 0].tolist(), points[corners, 1].tolist()
        area2 = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
        left, right = max(0, round(min(x0, x1, x2))), min(width, round(max(x0, x1, x2)))
        top, bottom = max(0, round(min(y0, y1, y2))), min(height, round(max(y0, y1, y2)))
        if area2 <= 0 or left >= right or top >= bottom:
            continue
        x = torch.arange(left, right, dtype=torch.float64) + 0.5
        y = torch.arange(top, bottom, dtype=torch.float64)[:, None] + 0.5
        w1 = ((x2 - x0) * (y - y0) - (x - x0) * (y2 - y0)) / area2
        w2 = ((x - x0) * (y1 - y0) - (x1 - x0) * (y - y0)) / area2
        z0, z1, z2 = verts[corners, 2].tolist()
        z = z0 + w1 * (z1 - z0) + w2 * (z2 - z0)
        box = (slice(top, bottom), slice(left, right))
        wins = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1) & (z < nearest[box])
        nearest[box][wins] = z[wins]
        ids[box][wins] = number
    return ids


def rasterize_vectorised(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The z-buffer over all triangles at once: each tests a square as large as the largest box. Ids (B, H, W)."""
    return torch.stack([_vectorised(mesh.double(), triangles, size_hw) for mesh in verts])


def _vectorised(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> Tensor:
    height, width = size_hw
    points = (verts[:, :2] + 1) * 0.5 * verts.new_tensor([width, height])
    corners, z = points[triangles], verts[triangles, 2]  # (F, 3, 2), (F, 3)
    (x0, y0), (x1, y1), (x2, y2) = (c.unbind(1) for c in corners.unbind(1))
    area2 = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    first = (corners.amin(1) - 0.5).ceil().long()  # column, row of the first pixel centre inside the box
    last = (corners.amax(1) - 0.5).floor().long()
    limit = last.new_tensor([width, height]) - 1
    first, last = first.clamp(min=0), torch.minimum(last, limit)
    live = ((area2 > 0) & (last >= first).all(1)).nonzero()[:, 0]
    side = int((last - first)[live].max()) + 1 if len(live) else 1
    offset = torch.arange(side * side, device=verts.device)
    nearest = verts.new_full((height * width,), torch.inf)
    ids = torch.full((height * width,), -1, device=verts.device)
    depths = []
    for part in live.split(max(1, CANDIDATES // side**2)):
        column = first[part, :1] + offset % side
        row = first[part, 1:] + offset // side
        dx, dy = column + 0.5 - x0[part, None], row + 0.5 - y0[part, None]
        w1 = ((x2 - x0)[part, None] * dy - dx * (y2 - y0)[part, None]) / area2[part, None]
        w2 = (dx * (y1 - y0)[part, None] - (x1 - x0)[part, None] * dy) / area2[part, None]
        inside = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1) & (column <= last[part, :1]) & (row <= last[part, 1:])
        depth = z[part, :1] + w1 * (z[part, 1:2] - z[part, :1]) + w2 * (z[part, 2:] - z[part, :1])
        pixel = (row * width + column)[inside]
        nearest.scatter_reduce_(0, pixel, depth[inside], "amin")
        depths.append((pixel, depth[inside], part[:, None].expand_as(inside)[inside]))
    for pixel, depth, triangle in reversed(depths):  # the lowest index wins a tie
        wins = depth == nearest[pixel]
        ids[pixel[wins].flip(0)] = triangle[wins].flip(0)
    return ids.view(height, width)


def interpolate_by_indexing(fragments: Fragments, attributes: Tensor, triangles: Tensor) -> Tensor:
    """The one-liner: gather at every pixel, background included. (V, C) -> (B, C, H, W)."""
    values = attributes[triangles[fragments.triangle.clamp(min=0)]]
    return (values * fragments.barycentric[..., None]).sum(-2).permute(0, 3, 1, 2)


Visibility = Callable[[Tensor, Tensor, tuple[int, int]], object]


def nvdiffrast_visibility(device: str) -> Visibility:
    """Nvdiffrast's rasteriser; raises ImportError where it cannot run."""
    if device != "cuda":
        raise ImportError("nvdiffrast runs on CUDA only")
    import nvdiffrast.torch as dr

    context = dr.RasterizeCudaContext()

    def work(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> object:
        clip = torch.cat([verts * verts.new_tensor([1, -1, 0.5]), torch.ones_like(verts[..., :1])], -1)
        return dr.rasterize(context, clip.contiguous(), triangles.int().contiguous(), resolution=list(size_hw))

    return work


def pytorch3d_visibility(device: str) -> Visibility:
    """pytorch3d's rasteriser (x left, y up, depth positive); raises ImportError where it is not installed."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    def work(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> object:
        placed = verts * verts.new_tensor([-1, -1, 1]) + verts.new_tensor([0, 0, 3])
        meshes = Meshes(placed, triangles.expand(len(verts), -1, -1))
        return rasterize_meshes(meshes, size_hw, blur_radius=0.0, faces_per_pixel=1, cull_backfaces=True)

    return work


PACKAGES = {"nvdiffrast": nvdiffrast_visibility, "pytorch3d": pytorch3d_visibility}
