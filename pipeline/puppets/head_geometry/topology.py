"""The skin's connectivity: a grid around the head, open at eyes and mouth, with the lids' rims and the mouth's bag.

The grid's rows and columns name material points. A slit runs along one row between two columns; its inner vertices
exist twice, once for each lid or lip. Rims and the mouth's bag continue inwards from the slits' loops.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.puppets.head_geometry.sections import (
    EYE_ROW,
    HALF_COLUMNS,
    INNER_EYE_COLUMN,
    MOUTH_COLUMN,
    MOUTH_ROW,
    OUTER_EYE_COLUMN,
    ROW_V,
)

NUM_COLUMNS = 2 * HALF_COLUMNS
BAG_RINGS = 5


@dataclass(frozen=True)
class SkinTopology:
    """Which vertex is where.

    Attributes:
        upper: (R, C) vertex of every grid point, the upper copy on slits.
        lower: (R, C) the same with the lower copy on slits.
        crown: the vertex of the pole above the first row.
        eye_loops: two index loops (22,), left eye then right, around the opening: inner corner, upper lid, outer
            corner, lower lid.
        eye_rims: two (22,), the rim's inner edge, in step with eye_loops.
        mouth_loop: (48,) from the viewer's right corner over the upper lip to the left corner and back below.
        bag: (BAG_RINGS, 48) rings inwards from the loop; bag_pole closes the last.
        triangles: (F, 3), counter-clockwise from outside.
        triangle_part: (F,) one of "skin", "eyelid", "mouth_cavity".
        num_vertices: vertices of the skin.
    """

    upper: np.ndarray
    lower: np.ndarray
    crown: int
    eye_loops: tuple[np.ndarray, np.ndarray]
    eye_rims: tuple[np.ndarray, np.ndarray]
    mouth_loop: np.ndarray
    bag: np.ndarray
    bag_pole: int
    triangles: np.ndarray
    triangle_part: np.ndarray
    num_vertices: int


def _mirror(columns: np.ndarray) -> np.ndarray:
    return (-columns) % NUM_COLUMNS


def _slit(upper: np.ndarray, lower: np.ndarray, row: int, columns: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Give the inner columns of a slit a second, lower vertex; return its loop and the new vertex count."""
    inner = columns[1:-1]
    lower[row, inner] = count + np.arange(len(inner))
    loop = np.concatenate([upper[row, columns], lower[row, inner[::-1]]])
    return loop, count + len(inner)


def _band(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Triangles between two closed loops in step, seen from the side where `outer` runs clockwise."""
    a, b = outer, np.roll(outer, -1)
    c, d = inner, np.roll(inner, -1)
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def skin_topology() -> SkinTopology:
    """Build the index structure; it depends on the tables of sections.py only."""
    rows = len(ROW_V)
    upper = np.arange(rows * NUM_COLUMNS).reshape(rows, NUM_COLUMNS)
    lower = upper.copy()
    count = upper.size
    eye_columns = np.arange(INNER_EYE_COLUMN, OUTER_EYE_COLUMN + 1)
    left_loop, count = _slit(upper, lower, EYE_ROW, eye_columns, count)
    right_loop, count = _slit(upper, lower, EYE_ROW, _mirror(eye_columns), count)
    mouth_columns = np.arange(MOUTH_COLUMN, -MOUTH_COLUMN - 1, -1) % NUM_COLUMNS
    mouth_loop, count = _slit(upper, lower, MOUTH_ROW, mouth_columns, count)
    crown, count = count, count + 1
    rims = []
    for loop in (left_loop, right_loop):
        rims.append(count + np.arange(len(loop)))
        count += len(loop)
    bag = count + np.arange(BAG_RINGS * len(mouth_loop)).reshape(BAG_RINGS, -1)
    bag_pole, count = count + bag.size, count + bag.size + 1

    skin = [_grid_triangles(upper, lower), _crown_triangles(upper[0], crown)]
    lids = [_band(left_loop, rims[0])[:, ::-1], _band(right_loop, rims[1])]
    rings = [mouth_loop, *bag]
    cavity = [_band(a, b) for a, b in zip(rings[:-1], rings[1:], strict=True)]
    last = rings[-1]
    cavity.append(np.stack([last, np.roll(last, -1), np.full(len(last), bag_pole)], 1))
    groups = {"skin": np.concatenate(skin), "eyelid": np.concatenate(lids), "mouth_cavity": np.concatenate(cavity)}
    triangles = np.concatenate(list(groups.values()))
    part = np.concatenate([np.full(len(group), name, dtype="U16") for name, group in groups.items()])
    return SkinTopology(
        upper,
        lower,
        crown,
        (left_loop, right_loop),
        (rims[0], rims[1]),
        mouth_loop,
        bag,
        bag_pole,
        triangles,
        part,
        count,
    )


def _grid_triangles(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Two triangles a cell; diagonals mirror across the middle of the face."""
    top, below = lower[:-1], upper[1:]
    a, b = top, np.roll(top, -1, axis=1)
    c, d = below, np.roll(below, -1, axis=1)
    left_half = np.broadcast_to(np.arange(NUM_COLUMNS) < HALF_COLUMNS, a.shape)
    one = np.where(left_half[..., None], np.stack([a, c, d], -1), np.stack([a, c, b], -1))
    two = np.where(left_half[..., None], np.stack([a, d, b], -1), np.stack([b, c, d], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])


def _crown_triangles(first_row: np.ndarray, crown: int) -> np.ndarray:
    return np.stack([np.full(NUM_COLUMNS, crown), first_row, np.roll(first_row, -1)], 1)
