"""The head without its features: a smooth loft of tilted, superelliptic cross-sections.

Every section is a closed curve around the head. A point of it is named by its azimuth: 0 in the middle of the face,
pi/2 at the person's left side (the viewer's right, +x), pi at the back. Heights differ between front, side and back,
so that sections follow the jaw. Sizes are those of an average adult head.

Units cm; y up with 0 at the eyes, z towards the viewer with 0 between the ears, x to the viewer's right.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

# The section's name v is the height of its foremost point down to the jaw (v = -11); below, it only counts on.
SECTION_FIELDS = ("v", "y_front", "y_side", "y_back", "z_front", "z_back", "half_width", "z_widest", "n_front", "n_back")
SECTIONS = np.array([
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
    (-5.50, -5.50, -4.20, -4.00, 9.90, -7.55, 6.72, 0.5, 2.0, 2.1),
    (-7.00, -7.00, -5.00, -4.60, 9.85, -7.25, 6.50, 0.7, 1.98, 2.1),
    (-8.50, -8.50, -5.70, -5.10, 9.65, -7.05, 6.32, 0.9, 1.92, 2.1),
    (-10.00, -10.00, -6.35, -5.60, 9.50, -6.95, 6.18, 1.0, 1.82, 2.1),
    (-11.00, -11.00, -6.95, -6.10, 9.00, -6.90, 6.02, 1.0, 1.75, 2.1),
    (-11.60, -11.62, -7.50, -6.60, 8.00, -6.88, 5.85, 0.9, 1.75, 2.1),
    (-12.20, -11.95, -8.20, -7.20, 6.50, -6.88, 5.68, 0.6, 1.8, 2.1),
    (-13.00, -12.40, -9.40, -8.30, 4.90, -6.92, 5.52, 0.1, 1.9, 2.1),
    (-14.00, -13.30, -11.00, -9.90, 4.15, -7.05, 5.50, -0.5, 2.0, 2.1),
    (-16.00, -15.60, -14.00, -13.20, 3.80, -7.50, 5.60, -1.2, 2.0, 2.1),
    (-20.00, -20.50, -20.50, -20.50, 3.90, -8.50, 6.30, -1.8, 2.0, 2.1),
])

# One mesh row a section; spacing follows the detail. The rows of the two slits are exact keys of skin.py.
EYE_ROW_V, MOUTH_ROW_V, JAW_ROW_V = -0.10, -6.82, -11.0
ROW_V = np.array([
    11.20, 10.95, 10.50, 9.80, 8.95, 8.00, 7.00, 6.00, 5.10, 4.30, 3.65, 3.15, 2.75, 2.40, 2.08, 1.78, 1.50, 1.24, 1.00,
    0.78, 0.57, 0.37, 0.20, 0.05, EYE_ROW_V, -0.25, -0.42, -0.62, -0.85, -1.12, -1.45, -1.82, -2.22, -2.62, -3.00, -3.35,
    -3.68, -4.00, -4.30, -4.58, -4.85, -5.12, -5.40, -5.68, -5.93, -6.15, -6.35, -6.52, -6.68, MOUTH_ROW_V,
    -6.98, -7.15, -7.35, -7.58, -7.84, -8.14, -8.50, -8.90, -9.32, -9.75, -10.18, -10.60, JAW_ROW_V,
    -11.35, -11.75, -12.25, -12.85, -13.60, -14.70, -16.20, -18.00, -20.00])
EYE_ROW = int(np.flatnonzero(ROW_V == EYE_ROW_V)[0])
MOUTH_ROW = int(np.flatnonzero(ROW_V == MOUTH_ROW_V)[0])
JAW_ROW = int(np.flatnonzero(ROW_V == JAW_ROW_V)[0])

# Columns of one half: 0 the middle of the face ... HALF_COLUMNS the middle of the back.
INNER_EYE_COLUMN, MOUTH_COLUMN, OUTER_EYE_COLUMN, HALF_COLUMNS = 7, 12, 18, 32
_COLUMN_KEYS = ((0, 0.0), (INNER_EYE_COLUMN, 0.2325), (MOUTH_COLUMN, 0.392), (OUTER_EYE_COLUMN, 0.628), (23, 1.02),
                (28, 1.98), (HALF_COLUMNS, np.pi))


def column_azimuths() -> np.ndarray:
    """Azimuth of every column around the head, (2 * HALF_COLUMNS,) radians in (-pi, pi]; column 0 is the middle of the face.

    Columns run to the viewer's right first, so that column -j mirrors column j. Spacing is about 2.5 mm on the face.
    """
    keys = np.array(_COLUMN_KEYS)
    half = PchipInterpolator(keys[:, 0], keys[:, 1])(np.arange(HALF_COLUMNS + 1))
    return np.concatenate([half, -half[-2:0:-1]])


def section_at(v: np.ndarray) -> dict[str, np.ndarray]:
    """The section table interpolated (monotone cubics): field name -> array of the shape of v."""
    order = np.argsort(SECTIONS[:, 0])
    table = PchipInterpolator(SECTIONS[order, 0], SECTIONS[order, 1:])(np.asarray(v, float))
    return {name: table[..., i] for i, name in enumerate(SECTION_FIELDS[1:])}


def loft(v: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Points (..., 3) cm of the featureless head at section names v and azimuths (broadcast together)."""
    v, azimuth = np.broadcast_arrays(np.asarray(v, float), np.asarray(azimuth, float))
    section = section_at(v)
    sine, cosine = np.abs(np.sin(azimuth)), np.cos(azimuth)
    front = cosine >= 0
    n = np.where(front, section["n_front"], section["n_back"])
    reach = np.where(front, section["z_front"], section["z_back"]) - section["z_widest"]
    along = np.clip(1.0 - sine**n, 0.0, None) ** (1.0 / n)
    turn = 1.0 - cosine  # 0 front, 1 side, 2 back

    def ease(t: np.ndarray) -> np.ndarray:
        t = np.clip(t, 0.0, 1.0)
        return t * t * (3.0 - 2.0 * t)

    y = (section["y_front"] + (section["y_side"] - section["y_front"]) * ease(turn)
         + (section["y_back"] - section["y_side"]) * ease(turn - 1.0))
    x = section["half_width"] * np.sin(azimuth)
    return np.stack([x, y, section["z_widest"] + reach * along], axis=-1)
