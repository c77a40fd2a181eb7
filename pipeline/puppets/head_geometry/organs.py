"""What is not skin: eyeballs, teeth and gums, tongue, ears. Each is a closed surface of its own.

A piece is (vertices (V, 3) cm, triangles (F, 3) counter-clockwise from outside, part name of every triangle (F,)).
The pieces of the two sides mirror each other vertex by vertex.
"""

import numpy as np
from scipy.interpolate import CubicSpline

from pipeline.puppets.head_geometry.measures import EYEBALL_CENTRE, EYEBALL_RADIUS
from pipeline.puppets.head_geometry.relief import smooth_step

Piece = tuple[np.ndarray, np.ndarray, np.ndarray]

_EYE_RINGS_DEG = (6, 12, 18, 24, 30, 38, 50, 66, 86, 110, 140)
_EYE_SECTORS = 16
_EAR_OUTLINE = np.array(
    [  # back of the ear canal, up from it; cm; periodic
        (-0.62, -0.45),
        (-0.66, 0.40),
        (-0.66, 1.25),
        (-0.45, 2.15),
        (0.20, 2.78),
        (1.05, 2.88),
        (1.80, 2.50),
        (2.22, 1.75),
        (2.30, 0.88),
        (2.12, 0.00),
        (1.78, -0.85),
        (1.45, -1.65),
        (1.22, -2.40),
        (0.75, -2.98),
        (0.12, -3.02),
        (-0.36, -2.55),
        (-0.52, -1.75),
    ]
)
_EAR_POINTS = 26
_EAR_ANCHOR = np.array([7.46, -1.20, -0.75])
_EAR_TURN_RAD, _EAR_LEAN_RAD = 0.42, 0.16


def mirrored(piece: Piece, part_from: str = "left", part_to: str = "right") -> Piece:
    """The same piece on the person's other side: x changes sign, triangles turn round."""
    vertices, triangles, parts = piece
    return vertices * (-1.0, 1.0, 1.0), triangles[:, ::-1], np.char.replace(parts, part_from, part_to)


def closed_rings(rings: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface from rings (R, K, 3) and a pole at each end; rings run counter-clockwise seen from `first`."""
    count, width = rings.shape[:2]
    index = np.arange(count * width).reshape(count, width)
    a, b, c, d = index[:-1], np.roll(index, -1, 1)[:-1], index[1:], np.roll(index, -1, 1)[1:]
    sides = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    top, bottom = count * width, count * width + 1
    caps = [
        np.stack([np.full(width, top), index[0], np.roll(index[0], -1)], 1),
        np.stack([np.full(width, bottom), np.roll(index[-1], -1), index[-1]], 1),
    ]
    return np.concatenate([rings.reshape(-1, 3), [first], [last]]), np.concatenate([sides, *caps])


def eyeball() -> Piece:
    """The person's left eyeball, its pole (the pupil's centre) looking along +z."""
    polar = np.radians(_EYE_RINGS_DEG)[:, None]
    around = 2 * np.pi * np.arange(_EYE_SECTORS) / _EYE_SECTORS
    rings = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) * np.ones_like(around)], -1
    )
    vertices, triangles = closed_rings(rings, np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0]))
    return EYEBALL_CENTRE + EYEBALL_RADIUS * vertices, triangles, np.full(len(triangles), "eyeball_left", dtype="U16")


def teeth(upper: bool) -> Piece:
    """One row of teeth with its gum: a bent bar; thirds of its 24 steps are the gaps between the teeth."""
    steps = 25
    t = np.linspace(-1, 1, steps)
    half_width, front, depth = (2.45, 9.42, 4.3) if upper else (2.25, 9.12, 4.0)
    x = half_width * np.sin(t * np.pi / 2 * 0.96)
    z = front - depth * (1 - np.cos(t * np.pi / 2 * 0.96)) - 0.10 * (np.arange(steps) % 3 == 0)
    nx, nz = np.gradient(z), -np.gradient(x)  # towards the inside of the arch, up to length
    length = np.hypot(nx, nz)
    nx, nz = nx / length, nz / length
    edge, neck, root = (-6.98, -6.05, -5.25) if upper else (-7.08, -7.85, -8.55)
    bite = 0.07 * (np.arange(steps) % 3 == 0) * np.sign(neck - edge)
    # (inwards, height): gum root, gum at the tooth's neck, tooth bulge, edge outside, edge inside, gum inside
    section = (
        (0.10, root),
        (-0.05, neck),
        (-0.06, 0.5 * (edge + neck)),
        (0.02, edge),
        (0.22, edge),
        (0.40, neck),
        (0.45, root),
    )
    rings = np.stack(
        [
            np.stack([x + inward * nx, y + (bite if y == edge else 0.0) + 0 * x, z + inward * nz], 1)
            for inward, y in section
        ],
        1,
    )
    if upper:
        rings = rings[:, ::-1]
    vertices, triangles = closed_rings(rings, rings[0].mean(0), rings[-1].mean(0))
    width = len(section)
    on_gum = np.isin(np.arange(len(vertices)) % width, (0, 1, 5, 6) if not upper else (6, 5, 1, 0))
    on_gum[-2:] = True
    parts = np.where(on_gum[triangles].all(1), "gums", "teeth").astype("U16")
    return vertices, triangles, parts


def tongue() -> Piece:
    """A flat ellipsoid behind the lower teeth."""
    polar = np.radians((25, 50, 75, 100, 130))[:, None]
    around = 2 * np.pi * np.arange(12) / 12
    unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], -1)
    vertices, triangles = closed_rings(unit, np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0]))
    vertices = vertices * (1.6, 0.50, 2.5) + (0.0, -8.0, 6.0)
    return vertices, triangles, np.full(len(triangles), "tongue", dtype="U16")


def _ear_front(ring: float, up: np.ndarray) -> np.ndarray:
    """Height of the ear's outer face over its plane on the ring of relative radius `ring`; `up` is the outline's."""
    fold = {1.0: 0.16, 0.95: 0.38, 0.86: 0.34, 0.74: 0.12, 0.60: 0.32, 0.46: 0.12, 0.30: -0.08}[ring]
    lobe = smooth_step(-1.4, -2.4, up)
    return (1 - lobe) * fold + lobe * (0.22 - 0.14 * (ring < 0.7))


def ear() -> Piece:
    """The person's left ear: helix, antihelix, concha and lobe in front, a plain back sunk into the head."""
    closed = np.concatenate([_EAR_OUTLINE, _EAR_OUTLINE[:1]])
    outline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")(
        np.linspace(0, len(closed) - 1, _EAR_POINTS, endpoint=False)
    )
    back, up = outline.T
    tragus = smooth_step(-0.1, -0.6, back) * smooth_step(1.5, 0.4, np.abs(up + 0.1))
    rings = []
    for ring in (0.30, 0.46, 0.60, 0.74, 0.86, 0.95, 1.0):
        height = _ear_front(ring, up)
        height = np.where(tragus > 0, height * (1 - tragus) + tragus * (0.20 * ring - 0.10), height)
        rings.append(np.stack([back * ring + 0.05 * (1 - ring), up * ring, height], 1))
    for ring, depth in ((0.97, -0.10), (0.75, -0.45), (0.5, -1.0)):
        rings.append(np.stack([back * ring, up * ring, np.full_like(up, depth)], 1))
    local = np.stack(rings)
    vertices, triangles = closed_rings(local[:, ::-1], np.array([0.05, -0.05, -0.12]), np.array([0.0, 0.0, -1.1]))
    turn, lean = _EAR_TURN_RAD, _EAR_LEAN_RAD
    backwards = np.array([np.sin(turn), 0.0, -np.cos(turn)])
    outwards = np.array([np.cos(turn), 0.0, np.sin(turn)])
    upwards = np.array([0.0, np.cos(lean), 0.0]) + np.sin(lean) * backwards
    backwards = np.cos(lean) * backwards - np.array([0.0, np.sin(lean), 0.0])
    placed = _EAR_ANCHOR + vertices @ np.stack([backwards, upwards, outwards])
    return placed, triangles, np.full(len(triangles), "ear", dtype="U16")
