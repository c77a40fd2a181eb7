"""The relief of the face over the featureless head: how far each point of the frontal plane comes forward.

Every function takes frontal coordinates x, y in cm (arrays of one shape; the face is symmetric in x) and returns a
height in cm along z.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

from pipeline.puppets.head_geometry.measures import (
    EYE_INNER_X,
    EYE_OUTER_X,
    EYE_ROW_V,
    EYEBALL_CENTRE,
    EYEBALL_RADIUS,
    LID_THICKNESS,
    MOUTH_HALF_WIDTH,
)


def bump(
    x: np.ndarray, y: np.ndarray, centre: tuple[float, float], width: tuple[float, float], slant: float = 0.0
) -> np.ndarray:
    """A Gaussian of height 1 about `centre`, standard widths `width`, its long axis rising by `slant` per cm of x."""
    u, v = x - centre[0], y - centre[1]
    return np.exp(-0.5 * (u / width[0]) ** 2 - 0.5 * ((v - slant * u) / width[1]) ** 2)


def smooth_max(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """The larger of two heights, the edge between them rounded over `radius` cm."""
    gap = np.clip(radius - np.abs(a - b), 0.0, None)
    return np.maximum(a, b) + gap * gap / (4.0 * radius)


def smooth_step(low: float, high: float, t: np.ndarray) -> np.ndarray:
    """0 below low, 1 above high, a cubic between (low > high turns it round)."""
    t = np.clip((t - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


_NOSE_KEYS = np.array(
    [  # y, height of the ridge, its half-width
        (-6.0, 0.00, 0.70),
        (-5.5, 0.04, 0.70),
        (-5.15, 0.16, 0.62),
        (-4.9, 0.36, 0.60),
        (-4.7, 0.70, 0.68),
        (-4.5, 1.20, 0.84),
        (-4.25, 1.82, 0.98),
        (-3.95, 2.28, 1.06),
        (-3.6, 2.50, 1.08),
        (-3.2, 2.50, 1.04),
        (-2.6, 2.24, 0.96),
        (-1.8, 1.78, 0.90),
        (-1.0, 1.28, 0.84),
        (-0.2, 0.78, 0.82),
        (0.5, 0.42, 0.88),
        (1.2, 0.18, 1.05),
        (2.0, 0.00, 1.30),
    ]
)
_nose_at = PchipInterpolator(_NOSE_KEYS[:, 0], _NOSE_KEYS[:, 1:])


def nose(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bridge, tip, wings and columella, without the nostrils."""
    a = np.abs(x)
    ridge, width = np.moveaxis(_nose_at(np.clip(y, _NOSE_KEYS[0, 0], _NOSE_KEYS[-1, 0])), -1, 0)
    s = a / width
    bridge = ridge * (0.62 * np.exp(-1.1 * s**2) + 0.38 * np.exp(-0.26 * s**2))
    wing = 1.16 * np.exp(-(np.abs((a - 1.05) / 0.66) ** 3) - np.abs((y + 4.12) / np.where(y > -4.12, 0.80, 0.60)) ** 3)
    return smooth_max(bridge, wing, 0.34)


def nose_overhang(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far (cm, negative: down) tip and wings hang over what lies below them."""
    a = np.abs(x)
    return -0.42 * bump(a, y, (0.0, -4.22), (0.75, 0.34)) - 0.30 * bump(a, y, (1.15, -4.32), (0.42, 0.30))


def nostrils(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth (negative height) of the two openings under the wings."""
    return -0.75 * bump(np.abs(x), y, (0.60, -4.60), (0.24, 0.15), slant=-0.15)


def brow_and_sockets(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brow ridge, glabella, the hollow around the eyeball and the bag under it."""
    a = np.abs(x)
    ridge = 0.26 * bump(a, y, (3.0, 2.05), (1.9, 0.55), slant=0.02) + 0.16 * bump(a, y, (0.0, 1.7), (1.0, 0.8))
    hollow = -0.50 * bump(a, y, (2.9, 0.15), (1.25, 0.72)) - 0.42 * bump(a, y, (1.65, 0.35), (0.45, 0.65))
    temple = -0.22 * bump(a, y, (6.6, 2.6), (0.9, 1.6))
    return ridge + hollow + temple


def cheeks_and_chin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cheekbones, cheeks, the fold beside the mouth, the chin and the furrow above it, the philtrum."""
    a = np.abs(x)
    cheekbone = 0.34 * bump(a, y, (4.5, -2.2), (1.3, 1.0), slant=0.25)
    cheek = 0.20 * bump(a, y, (3.5, -4.6), (1.3, 1.5)) - 0.18 * bump(a, y, (4.9, -6.3), (1.1, 1.4))
    fold = -0.14 * bump(a, y, (2.35, -5.35), (0.28, 0.95), slant=-1.1)
    chin = 0.42 * bump(a, y, (0.0, -10.25), (1.15, 0.75)) + 0.10 * bump(a, y, (0.0, -10.4), (1.7, 0.6))
    furrow = -0.26 * bump(a, y, (0.0, -8.95), (1.5, 0.42))
    corner = -0.16 * bump(a, y, (2.75, -6.95), (0.4, 0.5))
    muzzle = 0.22 * bump(a, y, (0.0, -6.7), (1.9, 1.5))
    philtrum = -0.09 * bump(a, y, (0.0, -5.55), (0.17, 0.4)) + 0.05 * bump(a, y, (0.36, -5.6), (0.14, 0.4))
    return cheekbone + cheek + fold + chin + furrow + corner + muzzle + philtrum


def lip_line(x: np.ndarray) -> np.ndarray:
    """Height y of the closed mouth's line at x."""
    t = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.3)
    return -6.84 + 0.10 * bump(t, 0 * t, (0.35, 0.0), (0.22, 1.0)) - 0.10 * t**3


def lip_heights(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights in cm of the red of the upper and of the lower lip above and below the line, 0 beyond the corners."""
    t = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    upper = 0.92 * (1 - t**1.6) ** 0.9 - 0.12 * np.exp(-((t / 0.10) ** 2)) * (1 - t)
    lower = 1.02 * (1 - t**2.2) ** 0.8
    return upper, lower


def lips(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Roundness of both lips, and the groove where they meet."""
    t = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    fade = (1 - t**2.5) ** 0.8
    over = y - lip_line(x)
    upper_height, lower_height = lip_heights(x)
    up, low = over / (upper_height + 0.12), -over / (lower_height + 0.12)

    def profile(s: np.ndarray) -> np.ndarray:
        s = np.clip(s, 0.0, None)
        rise = np.sqrt(np.clip(1 - (1 - np.clip(s / 0.5, 0, 1)) ** 2, 0, 1))
        return rise * np.where(s < 0.5, 1.0, np.exp(-(((s - 0.5) / 0.52) ** 2)))

    upper = np.where(over >= 0, 0.40 * profile(up) * (1 + 0.12 * np.exp(-((t / 0.12) ** 2))), 0.0)
    lower = np.where(over < 0, 0.46 * profile(low), 0.0)
    return fade * (upper + lower)


def lid_curves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights y at |x| of the open upper margin, the open lower margin and the line where closed lids meet."""
    t = (np.abs(x) - 0.5 * (EYE_INNER_X + EYE_OUTER_X)) / (0.5 * (EYE_OUTER_X - EYE_INNER_X))
    t = np.clip(t, -1.0, 1.0)
    corner = EYE_ROW_V + 0.10 * t
    arch = np.clip(1 - t * t, 0.0, 1.0)
    upper = corner + 0.63 * arch**0.72 * (1 - 0.12 * t)
    lower = corner - 0.46 * arch**0.80 * (1 + 0.15 * t)
    return upper, lower, corner - 0.33 * arch**0.9


def eyeball_cover(x: np.ndarray, y: np.ndarray, lift: np.ndarray | float = 0.0) -> np.ndarray:
    """Height z (absolute, not relative) of a lid lying `lift` cm over its usual place on the eyeball; 0 beside it."""
    radius = EYEBALL_RADIUS + LID_THICKNESS + lift
    off = (np.abs(x) - EYEBALL_CENTRE[0]) ** 2 + (y - EYEBALL_CENTRE[1]) ** 2
    return np.where(off < radius**2, EYEBALL_CENTRE[2] + np.sqrt(np.clip(radius**2 - off, 0, None)), 0.0)


def face_relief(x: np.ndarray, y: np.ndarray, z: np.ndarray, lid_lift: np.ndarray | float = 0.0) -> np.ndarray:
    """Give z of the finished skin (cm) for the featureless head's z at the frontal coordinates x, y of the face."""
    height = z + nose(x, y) + brow_and_sockets(x, y) + cheeks_and_chin(x, y)
    crease = (
        -0.10 * np.exp(-(((y - lid_curves(x)[0] - 0.42) / 0.11) ** 2)) * bump(np.abs(x), y, (3.15, 0.8), (0.85, 0.8))
    )
    height = smooth_max(height, eyeball_cover(x, y, lid_lift), 0.22) + crease
    return height + nostrils(x, y) + lips(x, y)
