"""Hair as geometry that no head model covers: a shell over the scalp and tapered locks combed over it.

Everything is grown on a person's neutral head in the head's own frame (cm, y up with 0 at the eyes, z to the viewer,
x to the viewer's right). A point on the scalp is named by its azimuth about the vertical axis (0 front, pi/2 the
viewer's right, pi back) and its height y.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.puppets.people import Look

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

# Hairline: height in cm at an azimuth in degrees; it dips at the sideburn and rises around the ear.
_LINE_AZIMUTH = np.array([0, 22, 38, 50, 60, 68, 76, 84, 94, 108, 122, 145, 180.0])
_LINE_HEIGHT = np.array([6.9, 7.0, 6.3, 4.9, 2.9, 0.4, -0.9, 0.5, 2.3, 1.2, -2.6, -5.0, -5.8])
LOCK_SECTIONS = 7


@dataclass(frozen=True)
class Style:
    """How hair is cut and combed; lengths in cm.

    Attributes:
        shell: thickness of the shell on top and at the sides.
        locks: number of locks.
        length: on top, at the sides and at the back, or height of the ends where `ends_at` is set.
        width: of a lock.
        lift: how far locks stand off the scalp.
        gravity: pull downwards per step against the combing.
        curl: radius and turns of a curl.
        cling: share of the outward direction that the comb takes away at each step.
        comb: key of `_COMBS`.
        ends_at: height y where hair ends, or None for lengths.
    """

    shell: tuple[float, float]
    locks: int
    length: tuple[float, float, float]
    width: float
    lift: float
    gravity: float
    curl: tuple[float, float]
    cling: float
    comb: str
    ends_at: float | None = None


_TABLE = {
    "buzz": Style((0.22, 0.14), 0, (0, 0, 0), 0.0, 0.0, 0.0, (0, 0), 0, "crown"),
    "short": Style((0.45, 0.2), 340, (3.6, 1.9, 1.9), 1.0, 0.75, 0.12, (0.08, 0.6), 0.55, "crown"),
    "side": Style((0.5, 0.25), 340, (7.0, 2.6, 2.4), 1.15, 1.25, 0.10, (0.10, 0.5), 0.7, "parted"),
    "fringe": Style((0.5, 0.4), 380, (6.6, 6.0, 5.0), 1.0, 0.9, 0.35, (0.12, 0.7), 0.7, "forward"),
    "bob": Style((0.5, 0.45), 420, (0, 0, 0), 1.35, 1.1, 0.42, (0.15, 0.6), 0.9, "parted", -9.5),
    "long": Style((0.5, 0.45), 460, (0, 0, 0), 1.5, 1.1, 0.42, (0.35, 1.2), 0.9, "parted", -21.0),
    "bun": Style((0.4, 0.35), 360, (0, 0, 0), 1.1, 0.7, 0.0, (0.04, 0.3), 0.9, "gathered"),
    "curly": Style((1.0, 0.7), 420, (6.5, 6.5, 6.0), 0.9, 1.3, 0.30, (0.62, 2.1), 0.4, "parted"),
    "afro": Style((3.2, 2.6), 620, (1.9, 1.9, 1.9), 1.25, 3.0, 0.0, (0.4, 1.2), 0.0, "radial"),
}


@dataclass(frozen=True)
class Shell:
    """A skin of hair that follows the posed head: head vertices pushed out along their normals."""

    vertices: np.ndarray  # (n,) head vertex numbers
    thickness: np.ndarray  # (n,) cm
    triangles: np.ndarray  # (f, 3) numbers into `vertices`
    along: np.ndarray  # (n, 3) direction of the strands on the neutral head


@dataclass(frozen=True)
class Locks:
    """Ribbons that move rigidly with the skull, or with the torso where they hang down."""

    points: np.ndarray  # (n, 3) on the person's neutral head
    normals: np.ndarray  # (n, 3)
    along: np.ndarray  # (n, 3)
    triangles: np.ndarray  # (f, 3)
    uv: np.ndarray  # (n, 2) across and along a lock, in [0, 1]
    anchor: np.ndarray  # (n,) head vertex whose change of shape a point follows


def azimuth_of(points: np.ndarray) -> np.ndarray:
    """Azimuth (...,) of points (..., 3) about the vertical axis, radians.

    Float32 points are looked at in float64: numpy's float32 arctan2 has another last digit under AVX-512.
    """
    x, z = (values.astype(np.float64) for values in (points[..., 0], points[..., 2] + 0.3))
    return np.arctan2(x, z).astype(points.dtype)


def above_hairline(azimuth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Signed distance in cm inside the scalp's hairline (positive = hair grows there)."""
    return height - np.interp(np.degrees(np.abs(azimuth)), _LINE_AZIMUTH, _LINE_HEIGHT)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _step(low: float, high: float, t: np.ndarray) -> np.ndarray:
    t = np.clip((t - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _crown(p: np.ndarray, look: Look) -> np.ndarray:
    """Away from the whorl at the back of the top: forwards in front, down at the back and the sides."""
    return p - np.array([0.8 * look.parting, 10.5, -4.5])


def _parted(p: np.ndarray, look: Look) -> np.ndarray:
    """Away from a parting that runs from front to back, a little backwards, and down at the sides."""
    side = np.tanh((p[:, 0] - 3.0 * look.parting) * 1.2)
    down = _step(2.0, 7.0, np.abs(p[:, 0])) + _step(-3.0, -8.0, p[:, 2])
    return np.stack([side * np.clip(1 - down, 0.05, 1), -1.2 * down, -0.3 * np.ones(len(p))], -1)


def _forward(p: np.ndarray, look: Look) -> np.ndarray:
    """Over the forehead in front, down at the sides."""
    front = _step(-2.0, 3.0, p[:, 2])
    return np.stack([0.12 * p[:, 0], -0.4 + 0.2 * front, 0.2 + front], -1)


def _gathered(p: np.ndarray, look: Look) -> np.ndarray:
    """Towards the knot."""
    return _knot(look) - p


def _radial(p: np.ndarray, look: Look) -> np.ndarray:
    """Straight off the head."""
    return p - np.array([0.0, 2.0, -0.5])


_COMBS = {"crown": _crown, "parted": _parted, "forward": _forward, "gathered": _gathered, "radial": _radial}


def _knot(look: Look) -> np.ndarray:
    """Centre of a bun, high or low at the back."""
    return np.array([0.0, 10.5, -6.0]) if look.volume > 1.0 else np.array([0.0, 3.0, -10.5])


def grow_shell(look: Look, rest: np.ndarray, template: np.ndarray, skin: np.ndarray) -> Shell | None:
    """Cover the scalp.

    Args:
        look: style and volume.
        rest: (V, 3) the person's neutral head.
        template: (V, 3) the mean head, which defines the hairline.
        skin: (F, 3) triangles of skin without ears.

    Returns:
        The shell, or None for a bald head.
    """
    style = _TABLE.get(look.style)
    if style is None:
        return None
    inside = above_hairline(azimuth_of(template), template[:, 1])
    kept = skin[(inside[skin] > -0.35).all(1)]
    vertices, local = np.unique(kept, return_inverse=True)
    rng = np.random.default_rng([look.seed, 5])
    top = _step(1.0, 8.5, template[vertices, 1])
    full = style.shell[1] + (style.shell[0] - style.shell[1]) * top
    uneven = 1.0 + 0.06 * min(style.shell[0], 2.5) * rng.standard_normal(len(vertices)).clip(-2, 2)
    thickness = full * look.volume * uneven * _step(-0.1, 1.5, inside[vertices]) - 0.06 * (inside[vertices] < 0.1)
    along = _COMBS[style.comb](rest[vertices], look)
    return Shell(vertices, thickness.astype(np.float32), local.reshape(-1, 3), _unit(along).astype(np.float32))


def grow_locks(
    look: Look, rest: np.ndarray, normals: np.ndarray, template: np.ndarray, skin: np.ndarray
) -> Locks | None:
    """Grow locks from the scalp: march along the combing, fall with gravity, stay off the head.

    Args:
        look: style, volume and parting.
        rest: (V, 3) the person's neutral head.
        normals: (V, 3) its normals.
        template: (V, 3) the mean head, which defines the hairline.
        skin: (F, 3) triangles of skin without ears.

    Returns:
        The locks, or None where the style has none.
    """
    from scipy.spatial import cKDTree

    style = _TABLE.get(look.style)
    if style is None or style.locks == 0:
        return None
    rng = np.random.default_rng([look.seed, 6])
    root, anchor = _roots(rng, style.locks, rest, template, skin)
    body = np.unique(skin)
    tree = cKDTree(rest[body])
    length = _lengths(rng, style, look, root)
    lift = style.lift * look.volume * rng.uniform(0.9 if style.comb == "radial" else 0.45, 1.15, len(root))
    comb = _COMBS[style.comb]
    heading = _unit(_flat(comb(root, look), normals[anchor]) + 0.35 * normals[anchor])
    line, out = [root], [normals[anchor]]
    point = root
    for k in range(1, LOCK_SECTIONS):
        combed = _flat(comb(point, look), out[-1])
        heading = 0.5 * heading + (0.7 if k < 5 else 0.2) * combed + np.array([0, -style.gravity, 0])
        heading = _unit(heading - style.cling * (heading * out[-1]).sum(-1, keepdims=True).clip(0) * out[-1])
        point = point + heading * (length / (LOCK_SECTIONS - 1))[:, None]
        point, normal = _off_the_head(point, tree, rest[body], normals[body], lift * min(1.0, 0.5 + 0.3 * k))
        heading = _unit(point - line[-1])
        line.append(point)
        out.append(normal)
    centre, outwards = np.stack(line, 1), np.stack(out, 1)  # (N, K, 3)
    locks = _ribbons(rng, style, look, centre, outwards, anchor)
    return _with_knot(locks, look, anchor) if style.comb == "gathered" else locks


def _roots(
    rng: np.random.Generator, count: int, rest: np.ndarray, template: np.ndarray, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Spread roots evenly over the scalp by area: (N, 3) points and (N,) nearest head vertices."""
    inside = above_hairline(azimuth_of(template), template[:, 1])
    scalp = skin[(inside[skin] > 0.15).all(1)]
    a, b, c = (rest[scalp[:, i]] for i in range(3))
    area = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    pick = np.searchsorted(area, (np.arange(count) + rng.random(count)) / count * area[-1]).clip(max=len(scalp) - 1)
    u = np.sort(rng.random((count, 2)), axis=1)
    weights = np.stack([u[:, 0], u[:, 1] - u[:, 0], 1 - u[:, 1]], 1)
    points = (rest[scalp[pick]] * weights[..., None]).sum(1)
    return points, scalp[pick, weights.argmax(1)]


def _lengths(rng: np.random.Generator, style: Style, look: Look, root: np.ndarray) -> np.ndarray:
    if style.ends_at is not None:
        ends = style.ends_at + (look.volume - 1.0) * 6.0
        return (root[:, 1] - ends) * rng.uniform(0.96, 1.06, len(root)) + 0.45 * np.clip(root[:, 1] - 4.0, 0, 7)
    top, back = _step(3.0, 7.5, root[:, 1]), _step(1.7, 2.4, np.abs(azimuth_of(root)))
    low = style.length[1] + (style.length[2] - style.length[1]) * back
    length = low + (style.length[0] - low) * top
    if style.comb == "gathered":
        return 0.95 * np.linalg.norm(_knot(look) - root, axis=1).clip(1.5, 22.0)
    return length * rng.uniform(0.75, 1.15, len(root))


def _flat(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The part of a direction that runs along the surface, unit length."""
    return _unit(direction - (direction * normal).sum(-1, keepdims=True) * normal)


def _off_the_head(
    point: np.ndarray, tree: "cKDTree", surface: np.ndarray, normals: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Push points out until they are `distance` off the nearest skin; also return that skin's normals."""
    _, nearest = tree.query(point)
    normal = normals[nearest]
    across, up, forward = (np.abs(point[:, 0]) - 8.0) / 2.0, (point[:, 1] + 1.5) / 2.6, point[:, 2] / 3.0
    ear = np.exp(-(across**2) - up**2 - forward**2)
    height = ((point - surface[nearest]) * normal).sum(-1)
    short = np.clip(distance + 1.0 * ear - height, 0, None)
    return point + normal * short[:, None], normal


def _ribbons(
    rng: np.random.Generator, style: Style, look: Look, centre: np.ndarray, out: np.ndarray, anchor: np.ndarray
) -> Locks:
    """Turn centre lines (N, K, 3) into tapered ribbons two vertices wide."""
    count, sections = centre.shape[:2]
    share = np.linspace(0, 1, sections)
    along = _unit(np.gradient(centre, axis=1))
    side = _unit(np.cross(out, along))
    radius, turns = style.curl
    phase = 2 * np.pi * (turns * share + rng.random((count, 1)))
    grow = radius * look.volume * np.minimum(1.0, 1.6 * share)
    centre = centre + (grow * np.cos(phase))[..., None] * side + (grow * np.sin(phase))[..., None] * out
    along = _unit(np.gradient(centre, axis=1))
    loose = 0.9 if style.gravity > 0 else 0.3
    turn = rng.uniform(-loose, loose, (count, 1, 1))  # so that some ribbons face every viewer
    side = _unit(np.cross(out, along))
    side = np.cos(turn) * side + np.sin(turn) * _unit(np.cross(along, side))
    profile = np.minimum(1.0, 0.65 + 1.2 * share) * np.sqrt(np.clip(1.02 - share**3, 0, 1))
    width = 0.5 * style.width * profile * rng.uniform(0.6, 1.3, (count, 1))
    edge = np.array([-1.0, 1.0])[:, None]
    points = centre[:, :, None] + edge * (side * width[..., None])[:, :, None]
    normal = _unit(np.cross(along, side))
    normal = normal * np.sign((normal * out).sum(-1, keepdims=True) + 1e-9)
    bent = _unit(0.6 * normal + 0.4 * out)[:, :, None] + 0.55 * edge * side[:, :, None]
    across = rng.random((count, 1, 1)) * 0.86 + np.array([0.0, 0.14])
    uv = np.stack(np.broadcast_arrays(across, share[None, :, None]), -1)
    first = (np.arange(count)[:, None] * sections + np.arange(sections - 1)) * 2
    a, b, c, d = first, first + 1, first + 2, first + 3
    quads = np.stack([a, b, d, a, d, c], -1).reshape(-1, 3)
    flat = points.reshape(-1, 3)
    facing = np.cross(flat[quads[:, 1]] - flat[quads[:, 0]], flat[quads[:, 2]] - flat[quads[:, 0]])
    wrong = (facing * _unit(bent).reshape(-1, 3)[quads[:, 0]]).sum(1) < 0
    quads[wrong] = quads[wrong][:, ::-1]
    return Locks(
        points=flat.astype(np.float32),
        normals=_unit(bent).reshape(-1, 3).astype(np.float32),
        along=np.repeat(along[:, :, None], 2, 2).reshape(-1, 3).astype(np.float32),
        triangles=quads,
        uv=uv.reshape(-1, 2).astype(np.float32),
        anchor=np.repeat(anchor, sections * 2),
    )


def _with_knot(locks: Locks, look: Look, anchor: np.ndarray) -> Locks:
    """Add a bun: a ball wound with strands."""
    rows, columns, radius = 9, 16, 3.2 * look.volume**0.5
    theta, phi = np.meshgrid(np.linspace(0.05, np.pi - 0.05, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    ball = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1)
    wound = 1.0 + 0.06 * np.sin(5 * phi + 3 * theta)
    points = (_knot(look) + ball * (radius * wound)[..., None] * np.array([1.0, 0.85, 0.9])).reshape(-1, 3)
    along = np.stack([-np.sin(phi), 0.35 * np.cos(theta), np.cos(phi)], -1).reshape(-1, 3)
    uv = np.stack([theta / np.pi * 0.9, 0.2 + 0.6 * phi / (2 * np.pi)], -1).reshape(-1, 2)
    cell = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    quads = np.stack([cell, cell + 1, cell + columns, cell + 1, cell + columns + 1, cell + columns], -1).reshape(-1, 3)
    return Locks(
        points=np.concatenate([locks.points, points]).astype(np.float32),
        normals=np.concatenate([locks.normals, _unit(ball.reshape(-1, 3))]).astype(np.float32),
        along=np.concatenate([locks.along, _unit(along)]).astype(np.float32),
        triangles=np.concatenate([locks.triangles, quads + len(locks.points)]),
        uv=np.concatenate([locks.uv, uv]).astype(np.float32),
        anchor=np.concatenate([locks.anchor, np.full(len(points), anchor[0])]),
    )
