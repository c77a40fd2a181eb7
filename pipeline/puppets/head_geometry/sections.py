"""The head without its features: a smooth loft of tilted, superelliptic cross-sections.

Every section is a closed curve around the head. A point of it is named by its azimuth: 0 in the middle of the face,
pi/2 at the person's left side (the viewer's right, +x), pi at the back. Heights differ between front, side and back,
so that sections follow the jaw. Sizes are those of an average adult head.

Units cm; y up with 0 at the eyes, z towards the viewer with 0 between the ears, x to the viewer's right.
"""

import numpy as np
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from pipeline.puppets.head_geometry.measures import (
    EYE_INNER_X,
    EYE_OUTER_X,
    EYE_ROW_V,
    JAW_ROW_V,
    MOUTH_HALF_WIDTH,
    MOUTH_ROW_V,
)

# The section's name v is the height of its foremost point down to the jaw (v = -11); below, it only counts on.
SECTION_FIELDS = (
    "v",
    "y_front",
    "y_side",
    "y_back",
    "z_front",
    "z_back",
    "half_width",
    "z_widest",
    "n_front",
    "n_back",
)
SECTIONS = np.array(
    [
        # v      y_front y_side y_back z_front z_back width z_wid n_f  n_b
        (11.30, 11.30, 11.30, 11.30, -0.90, -0.90, 0.00, -0.9, 2.0, 2.0),
        (11.20, 11.20, 11.20, 11.20, 0.70, -2.50, 1.55, -0.9, 2.0, 2.0),
        (10.95, 10.95, 10.95, 10.95, 2.10, -3.85, 2.75, -0.9, 2.0, 2.0),
        (10.50, 10.50, 10.50, 10.50, 3.55, -5.10, 3.95, -0.9, 2.0, 2.0),
        (10.00, 10.00, 10.00, 10.00, 4.65, -6.05, 4.80, -0.9, 2.0, 2.0),
        (9.00, 9.00, 9.00, 9.00, 6.25, -7.25, 5.90, -0.8, 2.0, 2.0),
        (8.00, 8.00, 8.00, 8.00, 7.40, -8.05, 6.60, -0.7, 2.1, 2.0),
        (7.00, 7.00, 7.00, 7.00, 8.20, -8.60, 7.10, -0.6, 2.2, 2.1),
        (6.00, 6.00, 6.00, 6.00, 8.75, -9.05, 7.45, -0.5, 2.2, 2.1),
        (4.00, 4.00, 4.00, 4.00, 9.35, -9.55, 7.72, -0.3, 2.25, 2.1),
        (2.00, 2.00, 2.00, 2.00, 9.50, -9.65, 7.72, -0.1, 2.2, 2.1),
        (0.00, 0.00, 0.00, 0.00, 9.20, -9.40, 7.50, 0.0, 2.1, 2.1),
        (-2.00, -2.00, -1.80, -1.80, 9.30, -8.80, 7.20, 0.1, 2.05, 2.1),
        (-4.00, -4.00, -3.30, -3.20, 9.70, -8.00, 6.95, 0.3, 2.0, 2.1),
        (-5.50, -5.50, -4.20, -4.00, 9.90, -7.55, 6.72, 0.50, 2.0, 2.1),
        (-7.00, -7.00, -5.00, -4.60, 9.85, -7.27, 6.50, 0.65, 1.98, 2.1),
        (-8.50, -8.50, -5.70, -5.10, 9.65, -7.07, 6.28, 0.78, 1.90, 2.1),
        (-10.00, -10.00, -6.35, -5.60, 9.50, -6.92, 6.05, 0.82, 1.78, 2.1),
        (-11.00, -11.00, -6.95, -6.10, 9.00, -6.81, 5.82, 0.78, 1.70, 2.1),
        (-11.60, -11.62, -7.50, -6.60, 8.00, -6.74, 5.62, 0.65, 1.72, 2.1),
        (-12.20, -11.95, -8.20, -7.20, 6.50, -6.70, 5.40, 0.40, 1.80, 2.1),
        (-13.00, -12.40, -9.40, -8.30, 4.85, -6.69, 5.18, 0.00, 1.9, 2.1),
        (-14.00, -13.30, -11.00, -9.90, 3.95, -6.80, 5.08, -0.50, 2.0, 2.1),
        (-16.00, -15.60, -14.00, -13.20, 3.50, -7.20, 5.12, -1.25, 2.0, 2.1),
        (-20.00, -20.50, -20.50, -20.50, 3.60, -8.20, 5.85, -1.9, 2.0, 2.1),
    ]
)

# One mesh row a section; spacing follows the detail. The rows of the two slits are exact keys of skin.py.
ROW_V = np.array(
    [
        11.15,
        10.75,
        10.10,
        9.20,
        8.15,
        7.10,
        6.10,
        5.20,
        4.40,
        3.75,
        3.22,
        2.80,
        2.43,
        2.10,
        1.80,
        1.52,
        1.26,
        1.02,
        0.80,
        0.58,
        0.38,
        0.20,
        0.05,
        EYE_ROW_V,
        -0.25,
        -0.42,
        -0.62,
        -0.85,
        -1.12,
        -1.45,
        -1.82,
        -2.22,
        -2.62,
        -3.00,
        -3.35,
        -3.68,
        -4.00,
        -4.30,
        -4.58,
        -4.85,
        -5.12,
        -5.40,
        -5.68,
        -5.93,
        -6.15,
        -6.35,
        -6.52,
        -6.68,
        MOUTH_ROW_V,
        -6.98,
        -7.15,
        -7.35,
        -7.58,
        -7.84,
        -8.14,
        -8.50,
        -8.90,
        -9.32,
        -9.75,
        -10.18,
        -10.60,
        JAW_ROW_V,
        -11.40,
        -11.90,
        -12.50,
        -13.20,
        -14.20,
        -15.80,
        -17.80,
        -20.00,
    ]
)
EYE_ROW = int(np.flatnonzero(ROW_V == EYE_ROW_V)[0])
MOUTH_ROW = int(np.flatnonzero(ROW_V == MOUTH_ROW_V)[0])
JAW_ROW = int(np.flatnonzero(ROW_V == JAW_ROW_V)[0])

# Columns of one half: 0 the middle of the face ... HALF_COLUMNS the middle of the back.
INNER_EYE_COLUMN, MOUTH_COLUMN, OUTER_EYE_COLUMN, HALF_COLUMNS = 7, 11, 19, 29


def column_azimuths() -> np.ndarray:
    """Azimuth of every column around the head, (2 * HALF_COLUMNS,) radians in (-pi, pi]; 0 is the middle of the face.

    Columns run to the viewer's right first, so that column -j mirrors column j. Spacing is about 2.5 mm on the
    face, and the corners of eyes and mouth lie on columns.
    """
    eye, mouth = section_at(EYE_ROW_V)["half_width"], section_at(MOUTH_ROW_V)["half_width"]
    keys = np.array(
        [
            (0, 0.0),
            (INNER_EYE_COLUMN, np.arcsin(EYE_INNER_X / eye)),
            (MOUTH_COLUMN, np.arcsin(MOUTH_HALF_WIDTH / mouth)),
            (OUTER_EYE_COLUMN, np.arcsin(EYE_OUTER_X / eye)),
            (22, 0.95),
            (26, 1.92),
            (HALF_COLUMNS, np.pi),
        ]
    )
    half = PchipInterpolator(keys[:, 0], keys[:, 1])(np.arange(HALF_COLUMNS + 1))
    return np.concatenate([half, -half[-2:0:-1]])


def section_at(v: np.ndarray | float) -> dict[str, np.ndarray]:
    """The section table interpolated (modified Akima splines): field name -> array of the shape of v."""
    order = np.argsort(SECTIONS[:, 0])
    table = Akima1DInterpolator(SECTIONS[order, 0], SECTIONS[order, 1:], method="makima")(np.asarray(v, float))
    return {name: table[..., i] for i, name in enumerate(SECTION_FIELDS[1:])}


def _soft_power(sine: np.ndarray, n: np.ndarray) -> np.ndarray:
    """sine**n without the crease that n < 2 has at 0; still 0 at 0 and 1 at 1."""
    soft = 0.35
    return ((sine**2 + soft**2) ** (n / 2) - soft**n) / ((1 + soft**2) ** (n / 2) - soft**n)


def loft(v: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Points (..., 3) cm of the featureless head at section names v and azimuths (broadcast together)."""
    v, azimuth = np.broadcast_arrays(np.asarray(v, float), np.asarray(azimuth, float))
    section = section_at(v)
    sine, cosine = np.abs(np.sin(azimuth)), np.cos(azimuth)
    front = cosine >= 0
    n = np.where(front, section["n_front"], section["n_back"])
    reach = np.where(front, section["z_front"], section["z_back"]) - section["z_widest"]
    along = np.clip(1.0 - _soft_power(sine, n), 0.0, None) ** (1.0 / n)
    turn = 1.0 - cosine  # 0 front, 1 side, 2 back

    def ease(t: np.ndarray) -> np.ndarray:
        t = np.clip(t, 0.0, 1.0)
        return t * t * (3.0 - 2.0 * t)

    y = (
        section["y_front"]
        + (section["y_side"] - section["y_front"]) * ease(turn)
        + (section["y_back"] - section["y_side"]) * ease(turn - 1.0)
    )
    x = section["half_width"] * np.sin(azimuth)
    return np.stack([x, y, section["z_widest"] + reach * along], axis=-1)
