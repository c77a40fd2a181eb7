"""Soft regions of the head as functions of template coordinates, for vertices and for pixels alike.

The mesh is too coarse for a crisp lip or iris. A renderer interpolates the template's coordinates over the image (as it
does for NMFC) and evaluates these functions there, so that edges stay sharp at any size. Every function takes points
(..., 3) of the template (cm, y up with 0 at the eyes, z to the viewer, x to the viewer's right) and returns (...)
values in [0, 1]. They know places, not surfaces: apply the eyes' to eyeballs, the others to skin (see `fields.py`).
"""

import numpy as np
from scipy.interpolate import Akima1DInterpolator

from pipeline.puppets.head_geometry import relief
from pipeline.puppets.head_geometry.relief import bump, smooth_step

IRIS_ANGLE_RAD, PUPIL_ANGLE_RAD = 0.455, 0.185  # of the eyeball, from its centre
_BROW_KEYS = np.array(
    [  # |x|, height of the middle, half the height; cm
        (1.20, 1.98, 0.34),
        (2.1, 2.20, 0.40),
        (3.2, 2.50, 0.36),
        (4.2, 2.56, 0.29),
        (5.1, 2.18, 0.20),
        (5.75, 1.66, 0.06),
    ]
)
_brow_at = Akima1DInterpolator(_BROW_KEYS[:, 0], _BROW_KEYS[:, 1:])


def _front(points: np.ndarray) -> np.ndarray:
    return smooth_step(0.5, 3.0, points[..., 2])


def lips(points: np.ndarray) -> np.ndarray:
    """The red of the lips, edge 0.8 mm wide."""
    x, y = points[..., 0], points[..., 1]
    over = y - relief.lip_line(x)
    upper, lower = relief.lip_heights(x)
    inside = np.minimum(upper - over, lower + over)
    within = smooth_step(relief.MOUTH_HALF_WIDTH + 0.05, relief.MOUTH_HALF_WIDTH - 0.1, np.abs(x))
    return smooth_step(-0.04, 0.04, inside) * within * _front(points)


def brows(points: np.ndarray, height: float = 1.0, lift: float = 0.0) -> np.ndarray:
    """Density of the brow's hair: full along a curve, thinning to the edges and the ends.

    Args:
        points: (..., 3) template coordinates.
        height: scales the brow's height.
        lift: moves it up, in cm.
    """
    a, y = np.abs(points[..., 0]), points[..., 1] - lift
    middle, half = np.moveaxis(_brow_at(np.clip(a, _BROW_KEYS[0, 0], _BROW_KEYS[-1, 0])), -1, 0)
    half = half * height
    ends = smooth_step(1.0, 1.55, a) * smooth_step(5.85, 5.3, a)
    return smooth_step(1.15, 0.45, np.abs(y - middle) / np.maximum(half, 1e-3)) * ends * _front(points)


def eye_angle(points: np.ndarray) -> np.ndarray:
    """Angle (radians) between the pupil's axis and the point, seen from the nearer eyeball's centre."""
    out = points - relief.EYEBALL_CENTRE * np.array([1.0, 1.0, 1.0])
    out[..., 0] = np.abs(points[..., 0]) - relief.EYEBALL_CENTRE[0]
    return np.arctan2(np.hypot(out[..., 0], out[..., 1]), out[..., 2])


def iris(points: np.ndarray, angle_rad: float = IRIS_ANGLE_RAD) -> np.ndarray:
    """The coloured ring together with the pupil."""
    return smooth_step(angle_rad + 0.03, angle_rad - 0.03, eye_angle(points))


def pupil(points: np.ndarray, angle_rad: float = PUPIL_ANGLE_RAD) -> np.ndarray:
    """The black disc in the iris's middle."""
    return smooth_step(angle_rad + 0.025, angle_rad - 0.025, eye_angle(points))


def lids(points: np.ndarray) -> np.ndarray:
    """Skin that lies on the eyeballs."""
    a, y = np.abs(points[..., 0]), points[..., 1]
    u = (a - relief.EYEBALL_CENTRE[0]) / 1.75
    v = np.where(y > 0, (y - 0.05) / 1.05, (y - 0.05) / 0.95)
    return smooth_step(1.1, 0.9, np.hypot(u, v)) * _front(points)


def lash_line(points: np.ndarray) -> np.ndarray:
    """A narrow band along the open upper lid's margin, for lashes or a liner."""
    a, y = np.abs(points[..., 0]), points[..., 1]
    upper = relief.lid_curves(a)[0]
    within = smooth_step(1.6, 1.8, a) * smooth_step(4.75, 4.5, a)
    return smooth_step(0.16, 0.05, np.abs(y - upper - 0.03)) * within * _front(points)


def scalp(points: np.ndarray, hairline: float = 0.0) -> np.ndarray:
    """Where hair grows: above the forehead, around the ears and down to the nape; `hairline` lifts it, in cm."""
    x, y, z = np.moveaxis(points, -1, 0)
    # height of the hair's edge against depth: forehead, temple, sideburn, behind the ear, nape
    edge = np.interp(
        z,
        (-9.5, -5.0, -3.2, -2.2, -0.5, 1.2, 2.6, 4.6, 6.6, 8.6),
        (-6.3, -6.2, -3.6, 0.6, 2.3, 1.6, 1.8, 4.4, 5.9, 6.5),
    )
    edge = edge - 0.35 * bump(np.abs(x), z, (0.0, 8.3), (1.4, 2.5))
    return smooth_step(-0.35, 0.35, y - edge - hairline * smooth_step(0.0, 3.0, z))


def cheeks(points: np.ndarray) -> np.ndarray:
    """Where blood shows: the apples of the cheeks, softly."""
    return bump(np.abs(points[..., 0]), points[..., 1], (4.2, -3.3), (1.5, 1.2)) * _front(points)


def beard(points: np.ndarray) -> np.ndarray:
    """Where a beard and a moustache grow, lips left out."""
    x, y, z = np.moveaxis(points, -1, 0)
    a = np.abs(x)
    top = np.interp(a, (0.0, 1.0, 2.6, 3.6, 5.0, 6.4, 7.0), (-5.25, -5.3, -6.0, -7.0, -5.9, -3.0, -2.0))
    field = smooth_step(0.25, -0.35, y - top) * smooth_step(-13.4, -12.2, y) * smooth_step(0.6, 2.0, z)
    under_lip = bump(a, y, (1.5, -8.3), (0.55, 0.35))
    return np.clip(field - 0.7 * under_lip, 0, 1) * (1 - lips(points))


def nostrils(points: np.ndarray) -> np.ndarray:
    """The dark of the two openings."""
    dark = 1.4 * bump(np.abs(points[..., 0]), points[..., 1], (0.60, -4.78), (0.26, 0.10), -0.12)
    return np.clip(dark, 0, 1) * _front(points)


def neck(points: np.ndarray) -> np.ndarray:
    """1 on the neck, 0 on the head, soft under the jaw."""
    y, z = points[..., 1], points[..., 2]
    return smooth_step(0.6, -0.8, y - np.interp(z, (-8.0, 1.0, 4.5, 8.0), (-6.8, -8.2, -12.0, -13.0)))
