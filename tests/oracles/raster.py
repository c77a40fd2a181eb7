"""Brute-force rasteriser in float64 numpy: every triangle against every pixel, nothing shared with model/render.

Vertices are snapped as `model.render.raster.rasterize` documents; from there all products and sums are of whole
numbers.
"""

import numpy as np

SUB = 1024
DEPTH_STEPS = 2**18
GUARD_PX = 16384


def rasterize(
    verts: np.ndarray,
    triangles: np.ndarray,
    size_hw: tuple[int, int],
    perspective: bool = False,
    cull_back: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return triangle (H, W), barycentric (H, W, 3), depth (H, W) of one mesh (V, 3) in ndc and depth."""
    height, width = size_hw
    verts = verts.astype(np.float64)
    points, level, drawable = snap(verts, size_hw, perspective)
    y, x = np.mgrid[:height, :width] * float(SUB) + SUB / 2
    best = np.full(size_hw, np.inf)
    triangle = np.full(size_hw, -1)
    barycentric = np.zeros((height, width, 3))
    depth = np.zeros(size_hw)
    for number, corners in enumerate(triangles):
        if not drawable[corners].all():
            continue
        p, q, r = points[corners]
        area2 = cross(p, r, q[0], q[1])  # positive for a front face, since y points down
        if area2 == 0 or (area2 < 0 and cull_back):
            continue
        edges = np.stack([cross(r, q, x, y), cross(p, r, x, y), cross(q, p, x, y)])
        edges *= np.sign(area2)
        area2 = abs(area2)
        seen = (edges >= 0).all(0)
        z = np.floor((edges * level[corners][:, None, None]).sum(0) / area2)
        wins = seen & (z < best)
        weights = edges / area2
        if perspective:
            weights = weights / verts[corners, 2][:, None, None]
            weights = weights / weights.sum(0)
        best[wins] = z[wins]
        triangle[wins] = number
        barycentric[wins] = weights[:, wins].T
        depth[wins] = (weights * verts[corners, 2][:, None, None]).sum(0)[wins]
    return triangle, barycentric, depth


def snap(verts: np.ndarray, size_hw: tuple[int, int], perspective: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole sub-pixel positions (V, 2), whole depth levels (V,), and which vertices may be drawn (V,)."""
    height, width = size_hw
    with np.errstate(all="ignore"):
        points = np.rint((verts[:, :2] + 1) / 2 * [width, height] * SUB)
        drawable = (np.abs(points - SUB / 2) <= GUARD_PX * SUB).all(1)
        z = verts[:, 2]
        if perspective:
            drawable &= z > 0
            z = -1 / z
        if not drawable.any():
            return points, z, drawable
        low, high = z[drawable].min(), z[drawable].max()
        level = np.rint((z - low) / (high - low if high > low else 1.0) * DEPTH_STEPS)
    return points, level, drawable


def cross(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Twice the signed area of a, b, (x, y), exact for whole numbers below 2**25."""
    return (b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])
