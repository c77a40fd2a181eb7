"""Clothes and glasses: parametric surfaces in the head's frame (cm, see `hair.py`)."""

from dataclasses import dataclass

import numpy as np

from pipeline.puppets.people import Look

SEGMENTS = 28
RAISED_CM = 1.0
EYE = np.array([3.1, 0.0, 10.15])  # middle of a lens, in front of the template's eye


@dataclass(frozen=True)
class Surface:
    """A mesh with atlas shares.

    Attributes:
        points: (n, 3).
        triangles: (f, 3), counter-clockwise seen from outside.
        share: (n, 2) position in the atlas region of the surface's kind.
    """

    points: np.ndarray
    triangles: np.ndarray
    share: np.ndarray


def grid_triangles(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Two triangles a cell of a (rows, columns) grid; `closed` joins the last column to the first."""
    last = columns if closed else columns - 1
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    right = (column + 1) % columns
    a, b = row * columns + column, row * columns + right
    c, d = a + columns, b + columns
    return np.stack([a, c, b, b, c, d], -1).reshape(-1, 3)


# per ring: half width, half depth, height, forward shift, how far the front hangs below the back
_BODY = [(7.6, 7.4, -17.2, -1.6, 1.8), (10.5, 8.2, -18.1, -1.6, 1.6), (15.0, 9.0, -19.6, -1.8, 1.2),
         (18.6, 9.8, -21.8, -1.8, 0.8), (20.4, 10.8, -25.0, -1.6, 0.3), (21.2, 11.6, -32.0, -1.2, 0.0),
         (21.6, 12.0, -52.0, -1.0, 0.0)]  # fmt: skip
_COLLARS = {
    "crew": [(6.4, 6.5, -16.2, -1.7, 1.6), (6.9, 6.9, -15.9, -1.7, 1.7)],
    "shirt": [(6.0, 6.2, -13.9, -1.7, 2.6), (6.7, 6.8, -13.6, -1.7, 2.8), (8.6, 8.4, -16.4, -1.6, 3.4)],
    "hoodie": [(6.6, 6.6, -15.8, -1.9, 2.0), (7.6, 7.6, -13.9, -2.0, 2.8), (9.4, 9.4, -14.2, -2.2, 3.4),
               (9.9, 9.6, -16.6, -2.0, 2.6)],
    "turtleneck": [(5.95, 6.1, -12.6, -1.6, 1.6), (6.35, 6.5, -12.3, -1.6, 1.6), (6.5, 6.6, -15.4, -1.6, 1.6)],
}  # fmt: skip


def make_garment(look: Look) -> Surface:
    """Shoulders and collar around the neck of the template."""
    rings = np.array(_COLLARS[look.garment] + _BODY)
    phi = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)  # 0 = viewer's right, then to the front
    width, depth, height, forward, hang = (rings[:, i : i + 1] for i in range(5))
    power = np.linspace(1.0, 0.75, len(rings))[:, None]
    cosine, sine = np.cos(phi), np.sin(phi)
    x = width * np.sign(cosine) * np.abs(cosine) ** power
    z = forward + depth * np.sign(sine) * np.abs(sine) ** power
    y = height + RAISED_CM - hang * 0.5 * (1 + sine)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    triangles = grid_triangles(len(rings), SEGMENTS, closed=True)[:, [0, 2, 1]]
    around = np.abs(phi / np.pi - 1.0)  # mirrored, so that the texture has no seam
    down = np.linspace(0, 1, len(rings))
    share = np.stack(np.broadcast_arrays(around, down[:, None]), -1).reshape(-1, 2)
    return Surface(points, triangles, share)


def _tube(line: np.ndarray, radius: float, closed: bool, sides: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a line (n, 3): points and triangles."""
    ahead = np.roll(line, -1, 0) - np.roll(line, 1, 0) if closed else np.gradient(line, axis=0)
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.cross(ahead, [0.05, 0.1, 1.0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    up = np.cross(across, ahead)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    circle = np.cos(turn)[:, None] * across[:, None] + np.sin(turn)[:, None] * up[:, None]
    points = (line[:, None] + radius * circle).reshape(-1, 3)
    rows = len(line)
    triangles = grid_triangles(rows, sides, closed=True)
    if closed:
        last, first = (rows - 1) * sides, 0
        side = np.arange(sides)
        right = (side + 1) % sides
        joint = np.stack([last + side, first + side, last + right, last + right, first + side, first + right], -1)
        triangles = np.concatenate([triangles, joint.reshape(-1, 3)])
    return points, triangles


def make_glasses(look: Look) -> Surface | None:
    """Two rims, a bridge and two temples, or None."""
    if look.glasses == "none":
        return None
    turn = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    cosine, sine = np.cos(turn), np.sin(turn)
    power, size = (1.0, (2.45, 2.3)) if look.glasses == "round" else (0.55, (2.6, 1.95))
    tubes = []
    for side in (-1.0, 1.0):
        x = size[0] * np.sign(cosine) * np.abs(cosine) ** power
        y = size[1] * np.sign(sine) * np.abs(sine) ** power - 0.3
        bow = -0.07 * (np.abs(side * EYE[0] + x)) ** 1.6 * 0.5
        rim = np.stack([side * EYE[0] + x, y, EYE[2] + bow + 0.25], -1)
        tubes.append(_tube(rim, 0.17, closed=True))
        hinge = np.array([side * (EYE[0] + size[0]), 0.7, EYE[2] - 0.7])
        ear = np.array([side * 8.1, 1.3, -0.6])
        path = np.linspace(0, 1, 5)[:, None]
        temple = hinge + (ear - hinge) * path + np.array([side * 0.7, 0, 0]) * np.sin(np.pi * path) ** 0.7
        tubes.append(_tube(temple, 0.16, closed=False))
    step = np.linspace(-1, 1, 6)
    gap = EYE[0] - size[0]
    bridge = np.stack([gap * 1.1 * step, 0.35 - 0.35 * step**2, EYE[2] + 0.45 - 0.2 * step**2], -1)
    tubes.append(_tube(bridge, 0.16, closed=False))
    placed, joined, first = [], [], 0
    for tube_points, tube_triangles in tubes:
        placed.append(tube_points)
        joined.append(tube_triangles + first)
        first += len(tube_points)
    points, triangles = np.concatenate(placed), np.concatenate(joined)
    return Surface(points, triangles, np.full((len(points), 2), 0.5))
