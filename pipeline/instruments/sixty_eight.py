"""From the mesh's 468 points to the 68 that everything else here speaks of.

Each landmark is a mean, weighted, of mesh points near it: numbers that sum to one, so that any shift, turn or squeeze
of the picture carries over exactly. They come from renders of this project's own heads, whose 68 points are known, and
from nothing else; `python -m benchmarks.mesh_landmarks` makes the table and measures it on real faces.
"""

from functools import cache

import numpy as np

from model.instruments.face_mesh import NUM_POINTS
from pipeline.instruments.sixty_eight_table import TABLE


@cache
def weights() -> np.ndarray:
    """(68, 468) float64; rows sum to one."""
    return table_weights(TABLE)


def table_weights(table: str) -> np.ndarray:
    """Read a table: a line a landmark, its mesh points as `number:weight`.

    Raises:
        ValueError: it has not 68 lines, or a line's weights do not sum to one.
    """
    lines = table.strip().splitlines()
    if len(lines) != 68:
        raise ValueError(f"the table of landmarks has {len(lines)} lines, expected 68")
    found = np.zeros((68, NUM_POINTS))
    for row, line in zip(found, lines, strict=True):
        for point, weight in (entry.split(":") for entry in line.split()):
            row[int(point)] = float(weight)
        if abs(row.sum() - 1) > 1e-9:
            raise ValueError(f"the table of landmarks has a line whose weights sum to {row.sum()}, not 1: {line}")
    return found


def to_68(points_px: np.ndarray) -> np.ndarray:
    """Landmarks (N, 68, 2) float32 of mesh points (N, 468, 2 or more), in the same px; NaN stays NaN."""
    flat = points_px[..., :2].astype(np.float64)
    return np.einsum("lp,npc->nlc", weights(), flat).astype(np.float32)
