"""Where the vertices of the skin lie: the loft, the relief, the open lids, the lips and the bag behind them."""

import numpy as np

from pipeline.puppets.head_geometry import relief
from pipeline.puppets.head_geometry.sections import EYE_ROW, MOUTH_ROW, ROW_V, column_azimuths, loft
from pipeline.puppets.head_geometry.topology import BAG_RINGS, SkinTopology

_NOSE_ROWS_V = (-1.82, -5.68)  # between these rows the mesh is spread along the nose's profile
_LID_OVERLAP = 0.03  # cm by which a closed lid passes the line, so that shapes with larger eyes close too
_LIP_GAP = 1e-3  # cm between the closed lips, so that both copies of a slit's point can be told apart
_LID_LIFT = 0.04  # cm by which the shut upper lid lies over the lower one there
_FRONT_COSINE = (0.02, 0.40)  # the relief fades in between these cosines of the azimuth


def skin_vertices(topology: SkinTopology, lids_open: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Place the skin.

    Args:
        topology: from `skin_topology`.
        lids_open: aperture of the person's left and right eye, 0 closed, 1 as in the neutral face.

    Returns:
        (V, 3) cm.
    """
    azimuth = column_azimuths()
    v = _spread_along_nose(np.repeat(ROW_V[:, None], len(azimuth), 1), azimuth)
    grid = loft(v, azimuth)
    front = relief.smooth_step(*_FRONT_COSINE, np.cos(azimuth))[None]
    points = np.empty((topology.num_vertices, 3))
    points[topology.crown] = (0.0, 11.30, -0.9)
    above, below = (
        _raise(_bend_lips(_bend_lids(grid, side, lids_open)), front, lift)
        for side, lift in ((1.0, _LID_LIFT * _shut(grid, lids_open)), (-1.0, 0.0))
    )
    rows = np.arange(len(ROW_V))[:, None, None]
    points[topology.lower] = below
    points[topology.upper] = np.where(rows <= EYE_ROW, above, below)
    upper_lip = topology.mouth_loop[: len(topology.mouth_loop) // 2 + 1]
    points[upper_lip, 1] += _LIP_GAP
    opened = [points[loop] for loop in topology.eye_loops]
    for rim, loop, sign in zip(topology.eye_rims, opened, (1.0, -1.0), strict=True):
        centre = relief.EYEBALL_CENTRE * (sign, 1.0, 1.0)
        out = loop - centre
        points[rim] = centre + out * (0.975 * relief.EYEBALL_RADIUS / np.linalg.norm(out, axis=1, keepdims=True))
    points[topology.bag], points[topology.bag_pole] = _mouth_bag(points[topology.mouth_loop])
    return points


def _spread_along_nose(v: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Move the rows of the nose, column by column, so that steps along its profile become more even."""
    top, bottom = (int(np.flatnonzero(key == ROW_V)[0]) for key in _NOSE_ROWS_V)
    rows = slice(top, bottom + 1)
    fine = np.linspace(*_NOSE_ROWS_V, 240)
    nominal = (ROW_V[rows] - ROW_V[top]) / (ROW_V[bottom] - ROW_V[top])
    v = v.copy()
    for j in np.flatnonzero(np.cos(azimuth) > 0.6):
        line = loft(fine, azimuth[j])
        z = line[:, 2] + relief.nose(line[:, 0], line[:, 1])
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(line[:, 1]), np.diff(z)))])
        v[rows, j] = 0.3 * v[rows, j] + 0.7 * np.interp(nominal, arc / arc[-1], fine)
    return v


def _shut(grid: np.ndarray, lids_open: tuple[float, float]) -> np.ndarray:
    """How far each point's eye is shut: 1 shut, 0 as in the neutral face."""
    return 1.0 - np.where(grid[..., 0] > 0, lids_open[0], lids_open[1])


def _bend_lids(grid: np.ndarray, side: float, lids_open: tuple[float, float]) -> np.ndarray:
    """Shift the rows near the eye's slit up (side +1) or down (side -1) to the lids' margins."""
    x, y = grid[..., 0], grid[..., 1]
    upper, lower, closed = relief.lid_curves(x)
    aperture = 1.0 - _shut(grid, lids_open)
    margin = closed - side * _LID_OVERLAP + aperture * ((upper if side > 0 else lower) - closed + side * _LID_OVERLAP)
    over = side * (y - y[EYE_ROW])
    s = np.clip(over / (1.45 if side > 0 else 1.25), 0.0, 1.0)
    decay = (1.0 - s) ** 2 * (1.0 + 2.0 * s) * (over >= 0)
    beyond = np.maximum(relief.EYE_INNER_X - np.abs(x), np.abs(x) - relief.EYE_OUTER_X)
    near = relief.smooth_step(0.9, 0.0, beyond) * (grid[..., 2] > 0)
    bent = grid.copy()
    bent[..., 1] += near * decay * (margin - y[EYE_ROW])
    return bent


def _bend_lips(grid: np.ndarray) -> np.ndarray:
    """Shift the rows near the mouth's slit onto the line of the lips."""
    x, y = grid[..., 0], grid[..., 1]
    s = np.clip(np.abs(y - y[MOUTH_ROW]) / 1.2, 0.0, 1.0)
    decay = (1.0 - s) ** 2 * (1.0 + 2.0 * s)
    near = relief.smooth_step(3.6, 2.4, np.abs(x)) * (grid[..., 2] > 0)
    bent = grid.copy()
    bent[..., 1] += near * decay * (relief.lip_line(x) - y[MOUTH_ROW])
    return bent


def _raise(grid: np.ndarray, front: np.ndarray, lid_lift: np.ndarray | float) -> np.ndarray:
    """Add the face's relief, faded out towards the sides."""
    x, y, z = np.moveaxis(grid, -1, 0)
    hang = relief.nose_overhang(x, y) * (z > 0)
    return np.stack([x, y + hang, z + front * (relief.face_relief(x, y, z, lid_lift) - z)], -1)


def _mouth_bag(loop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rings (BAG_RINGS, 48, 3) from the lips' inner edge back to the throat, and the last point (3,)."""
    half = len(loop) // 2
    side = np.where(np.arange(len(loop)) <= half, 1.0, -1.0)
    t = np.clip(np.abs(loop[:, 0]) / relief.MOUTH_HALF_WIDTH, 0, 1)
    spread = side * np.sqrt(np.clip(1 - t**2, 0, 1))
    line = relief.lip_line(loop[:, 0])
    #        x scale, y spread, z: share of the lips' own z, absolute part
    plan = (
        (0.99, 0.05, 1.0, -0.22),
        (0.97, 0.38, 1.0, -0.60),
        (0.98, 1.25, 1.0, -1.25),
        (0.95, 1.45, 0.4, 2.6),
        (0.55, 0.95, 0.0, 4.2),
    )
    rings = [
        np.stack([scale * loop[:, 0], line + spread * rise, share * loop[:, 2] + shift], 1)
        for scale, rise, share, shift in plan
    ]
    assert len(rings) == BAG_RINGS
    return np.stack(rings), np.array([0.0, -7.0, 3.6])
