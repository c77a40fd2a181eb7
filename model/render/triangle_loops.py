"""Visibility on a CPU: a depth buffer, triangle by triangle, in loops that numba compiles.

Bit for bit what model/render/fragment_lists.py finds: the same exact edge functions (the legend stands in
model/render/raster.py), the same depth levels, and barycentrics by the same operations in the same order. numba
contracts no product and sum into one rounding unless it is told to (`fastmath`).
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from torch import Tensor

from model.render.snapped import Points

Array = np.ndarray[Any, np.dtype[Any]]


def fill(
    points: Points,
    triangles: Tensor,
    cull_back: bool,
    perspective: bool,
    ids: Tensor,
    barycentric: Tensor,
    depth: Tensor,
) -> None:
    """Write what the pixels of each mesh see.

    Args:
        points: snapped vertices of B meshes.
        triangles: (1, F, 3) shared by the batch, or (B, F, 3), int64.
        cull_back: drop triangles that show their back.
        perspective: make barycentrics perspective-correct.
        ids: (B, H, W) int64, -1 everywhere.
        barycentric: (B, H, W, 3) float32 or float64, 0 everywhere.
        depth: (B, H, W) of the same type, 0 everywhere.
    """
    x, y, level, z, own = (values.contiguous().numpy() for values in (*points, triangles))
    _fill(x, y, level, z, own, cull_back, perspective, ids.numpy(), barycentric.numpy(), depth.numpy())


def _kept(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function when it is first called, and keep it for later processes where there is a place for it."""
    try:
        return njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError as error:  # in a read-only checkout without a home
        warnings.warn(
            f"loops are compiled anew in every process, which takes seconds: {error}; let the environment variable "
            "NUMBA_CACHE_DIR name a folder that can be written",
            stacklevel=2,
        )
        return njit(nogil=True)(function)  # type: ignore[no-any-return]


@_kept
def _fill(
    x: Array,
    y: Array,
    level: Array,
    z: Array,
    triangles: Array,
    cull_back: bool,
    perspective: bool,
    ids: Array,
    barycentric: Array,
    depth: Array,
) -> None:
    batch, height, width = ids.shape
    edges = np.empty((triangles.shape[1], 7))
    nearest = np.empty((height, width))
    for item in range(batch):
        own = triangles[item if len(triangles) > 1 else 0]
        nearest[:] = np.inf
        for triangle in range(len(own)):
            i, j, k = own[triangle]
            x0, x1, x2, y0, y1, y2 = x[item, i], x[item, j], x[item, k], y[item, i], y[item, j], y[item, k]
            area2 = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
            if not (area2 > 0 or (area2 < 0 and not cull_back)):  # false for NaN
                continue
            left = max(np.ceil(min(x0, x1, x2)), 0.0)
            top = max(np.ceil(min(y0, y1, y2)), 0.0)
            right = min(np.floor(max(x0, x1, x2)), width - 1.0)
            bottom = min(np.floor(max(y0, y1, y2)), height - 1.0)
            if left > right or top > bottom:
                continue
            side = 1.0 if area2 > 0 else -1.0  # -1 for a back face: makes its inside positive too
            a1, b1 = (y0 - y2) * side, (x2 - x0) * side
            a2, b2 = (y1 - y0) * side, (x0 - x1) * side
            c1, c2 = -(a1 * x0 + b1 * y0), -(a2 * x0 + b2 * y0)
            area2 = abs(area2)
            edge = edges[triangle]
            edge[0], edge[1], edge[2], edge[3], edge[4], edge[5], edge[6] = a1, b1, c1, a2, b2, c2, area2
            level0 = level[item, i]
            d1, d2 = level[item, j] - level0, level[item, k] - level0
            slope = a1 * d1 + a2 * d2  # of the depth numerator along a row
            for row in range(int(top), int(bottom) + 1):
                e1 = (a1 * left + b1 * row) + c1
                e2 = (a2 * left + b2 * row) + c2
                start, steps = 0.0, -1.0  # of the depth numerator at the row's first covered pixel; pixels since there
                for column in range(int(left), int(right) + 1):
                    if e1 >= 0 and e2 >= 0 and (area2 - e1) - e2 >= 0:
                        if steps < 0:
                            start, steps = e1 * d1 + e2 * d2, 0.0
                        reached = level0 + np.floor((slope * steps + start) / area2)
                        if reached < nearest[row, column]:  # where levels tie, the lowest index stays
                            nearest[row, column] = reached
                            ids[item, row, column] = triangle
                        steps += 1.0
                    elif steps >= 0:
                        break
                    e1 += a1
                    e2 += a2
        for row in range(height):
            for column in range(width):
                triangle = ids[item, row, column]
                if triangle < 0:
                    continue
                a1, b1, c1, a2, b2, c2, area2 = edges[triangle]
                e1 = (c1 + a1 * column) + b1 * row
                e2 = (c2 + a2 * column) + b2 * row
                w0, w1, w2 = ((area2 - e1) - e2) / area2, e1 / area2, e2 / area2
                i, j, k = own[triangle]
                z0, z1, z2 = z[item, i], z[item, j], z[item, k]
                if perspective:
                    w0, w1, w2 = w0 / z0, w1 / z1, w2 / z2
                    total = (w0 + w1) + w2
                    w0, w1, w2 = w0 / total, w1 / total, w2 / total
                depth[item, row, column] = (z0 * w0 + z1 * w1) + z2 * w2
                barycentric[item, row, column, 0] = w0
                barycentric[item, row, column, 1] = w1
                barycentric[item, row, column, 2] = w2
