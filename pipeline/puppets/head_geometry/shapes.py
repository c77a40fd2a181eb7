"""Identity: named smooth warps of space that turn the neutral head into other people.

A warp maps points of the neutral head (V, 3) cm to offsets (V, 3) cm at code 1. It is defined over all of space, so
lids, eyeballs, lips and teeth move together. Codes are meant to be N(0, 1) and independent.
"""

from collections.abc import Callable

import numpy as np

from pipeline.puppets.head_geometry import relief
from pipeline.puppets.head_geometry.relief import EYEBALL_CENTRE, smooth_step

Warp = Callable[[np.ndarray], np.ndarray]


def _gauss(p: np.ndarray, centre: tuple[float, float, float], width: tuple[float, float, float]) -> np.ndarray:
    return np.exp(-0.5 * (((p - np.array(centre)) / np.array(width)) ** 2).sum(-1))


def push(centre: tuple[float, float, float], width: tuple[float, float, float], by: tuple[float, float, float]) -> Warp:
    """Move the surroundings of a point and of its mirror image; `by` is mirrored in x too."""

    def warp(p: np.ndarray) -> np.ndarray:
        left, right = _gauss(p, centre, width), _gauss(p * (-1, 1, 1), centre, width)
        both = left + right if centre[0] else left
        return np.stack([(left - right) * by[0], both * by[1], both * by[2]], -1)

    return warp


def push_all(
    centre: tuple[float, float, float], width: tuple[float, float, float], by: tuple[float, float, float]
) -> Warp:
    """Move the surroundings of one point, without a mirror image (for asymmetries)."""
    return lambda p: _gauss(p, centre, width)[..., None] * np.array(by)


def stretch(
    centre: tuple[float, float, float], width: tuple[float, float, float], factors: tuple[float, float, float]
) -> Warp:
    """Scale the surroundings of a point of the middle plane about it, by 1 + factors."""
    return lambda p: _gauss(p, centre, width)[..., None] * (p - np.array(centre)) * np.array(factors)


def scale_all(factors: tuple[float, float, float]) -> Warp:
    """Scale the whole head about the origin by 1 + factors."""
    return lambda p: p * np.array(factors)


def slide_y(keys: tuple[float, ...], values: tuple[float, ...]) -> Warp:
    """Move every point up by a smooth function of its height, eased between keys (increasing)."""

    def warp(p: np.ndarray) -> np.ndarray:
        rise = np.full(p.shape[:-1], values[0], float)
        for low, high, before, after in zip(keys[:-1], keys[1:], values[:-1], values[1:], strict=True):
            rise = rise + (after - before) * smooth_step(low, high, p[..., 1])
        return np.stack([0 * rise, rise, 0 * rise], -1)

    return warp


def _eye_weight(p: np.ndarray, side: float) -> np.ndarray:
    """1 on an eyeball, its lids and their surroundings, fading out over 2 cm."""
    distance = np.linalg.norm((p - EYEBALL_CENTRE * (side, 1, 1)) * (1.0, 1.0, 0.8), axis=-1)
    return smooth_step(3.6, 1.7, distance)


def move_eyes(by: tuple[float, float, float], sides: tuple[float, ...] = (1.0, -1.0)) -> Warp:
    """Move eyeballs and lids; x is mirrored."""
    return lambda p: sum(_eye_weight(p, s)[..., None] * np.array(by) * (s, 1, 1) for s in sides)


def turn_eyes(tilt_rad: float, widen: tuple[float, float, float]) -> Warp:
    """Tilt the eyes (outer corners up) and scale them about their centres by 1 + widen."""

    def warp(p: np.ndarray) -> np.ndarray:
        total = np.zeros_like(p)
        for s in (1.0, -1.0):
            q = p - EYEBALL_CENTRE * (s, 1, 1)
            offset = q * np.array(widen) + s * tilt_rad * np.stack([-q[..., 1], q[..., 0], 0 * q[..., 0]], -1)
            total += _eye_weight(p, s)[..., None] * offset
        return total

    return warp


def thicken_lip(upper: bool, by: float, forward: float) -> Warp:
    """Spread one lip's height away from the line between the lips by the share `by`, and bring it forward."""

    def warp(p: np.ndarray) -> np.ndarray:
        over = p[..., 1] - relief.lip_line(p[..., 0])
        over = np.clip(over if upper else -over, 0, None)
        t = np.clip(np.abs(p[..., 0]) / relief.MOUTH_HALF_WIDTH, 0, 1)
        within = (1 - t * t) ** 2 * smooth_step(7.5, 9.3, p[..., 2])
        rise = over * smooth_step(2.0, 0.9, over) * by * (1 if upper else -1)
        bulge = forward * smooth_step(1.6, 0.5, over) * smooth_step(0.0, 0.35, over)
        return within[..., None] * np.stack([0 * rise, rise, bulge], -1)

    return warp


def ears(size: float, flare: float) -> Warp:
    """Scale the ears about their front edge and swing their backs outwards."""
    root = np.array([7.2, -1.2, -0.3])

    def warp(p: np.ndarray) -> np.ndarray:
        total = np.zeros_like(p)
        for s in (1.0, -1.0):
            q = p * (s, 1, 1) - root
            weight = smooth_step(-0.25, 0.15, q[..., 0] + 0.25 * np.clip(-q[..., 2], 0, 3)) * _gauss(
                q, (0.6, 0, -1.5), (2.0, 4.0, 3.0)
            )
            offset = size * q + flare * np.clip(-q[..., 2], 0, None)[..., None] * np.array([1.0, 0, 0.15])
            total += weight[..., None] * offset * (s, 1, 1)
        return total

    return warp


def _throat(p: np.ndarray) -> np.ndarray:
    return smooth_step(-8.5, -12.5, p[..., 1] - 0.35 * np.clip(p[..., 2], -4, 4))


def thicken_neck(by: float) -> Warp:
    """Scale the neck's girth by 1 + by."""
    return lambda p: _throat(p)[..., None] * (p - np.array([0, 0, -1.8])) * np.array([by, 0, by])


SHAPES: dict[str, Warp] = {
    "head_width": scale_all((0.032, 0, 0)),
    "head_height": scale_all((0, 0.026, 0)),
    "head_depth": scale_all((0, 0, 0.03)),
    "cranium_height": slide_y((2.5, 11.0), (0.0, 0.40)),
    "cranium_width": push((6.5, 6.0, -1.5), (3.0, 4.0, 5.0), (0.28, 0, 0)),
    "occiput": push((0, 2.0, -9.0), (5.5, 5.0, 3.5), (0, 0, -0.40)),
    "forehead_slope": push((0, 7.0, 7.5), (4.5, 2.6, 4.0), (0, 0, 0.35)),
    "temple_width": push((6.3, 3.0, 4.5), (2.0, 2.2, 2.6), (0.20, 0, 0)),
    "brow_ridge": push((2.6, 2.0, 8.8), (1.8, 0.8, 2.0), (0, 0, 0.15)),
    "brow_height": push((3.2, 2.6, 8.5), (2.2, 0.9, 2.5), (0, 0.14, 0)),
    "face_height": slide_y((-11.5, -5.2), (-0.42, 0.0)),
    "midface_height": slide_y((-5.4, -0.8), (-0.26, 0.0)),
    "jaw_width": push((5.6, -7.2, 3.0), (2.2, 2.8, 3.4), (0.38, 0, 0)),
    "jaw_angle": push((5.8, -6.6, 1.2), (1.8, 1.6, 2.0), (0.12, -0.40, -0.10)),
    "chin_forward": push((0, -10.3, 9.0), (2.4, 1.5, 2.5), (0, 0, 0.34)),
    "chin_width": stretch((0, -10.2, 8.6), (2.6, 1.5, 2.4), (0.16, 0, 0)),
    "chin_drop": push((0, -11.2, 8.6), (2.2, 1.3, 2.6), (0, -0.30, 0)),
    "cheekbones": push((5.1, -2.1, 5.9), (1.6, 1.3, 2.2), (0.24, 0, 0.14)),
    "cheek_fullness": push((4.6, -5.2, 6.0), (1.5, 1.9, 2.4), (0.24, -0.05, 0.20)),
    "nose_length": push((0, -4.2, 11.0), (1.7, 1.5, 2.6), (0, -0.26, 0)),
    "nose_forward": push((0, -3.6, 11.6), (1.3, 1.5, 2.2), (0, 0, 0.30)),
    "nose_width": stretch((0, -4.1, 10.4), (1.8, 1.1, 1.8), (0.13, 0, 0)),
    "nose_bridge": push((0, -0.2, 9.8), (0.8, 1.3, 1.4), (0, 0, 0.17)),
    "nose_bridge_width": stretch((0, -1.2, 10.2), (1.2, 1.7, 1.5), (0.16, 0, 0)),
    "nose_hump": push((0, -1.7, 11.0), (0.7, 0.7, 1.6), (0, 0, 0.13)),
    "nose_tip_up": push((0, -3.7, 12.0), (0.9, 0.9, 1.3), (0, 0.19, 0.02)),
    "nose_tip_width": stretch((0, -3.6, 11.7), (0.9, 0.9, 1.0), (0.18, 0.06, 0.05)),
    "eye_spacing": move_eyes((0.13, 0, 0)),
    "eye_depth": move_eyes((0, 0, -0.14)),
    "eye_height": move_eyes((0, 0.15, 0)),
    "eye_width": turn_eyes(0.0, (0.045, 0.015, 0.015)),
    "eye_tilt": turn_eyes(0.055, (0, 0, 0)),
    "mouth_width": stretch((0, -6.9, 9.6), (2.6, 1.3, 2.4), (0.075, 0, 0)),
    "mouth_height": push((0, -6.9, 9.6), (3.2, 1.6, 3.0), (0, 0.20, 0)),
    "mouth_forward": push((0, -6.9, 9.6), (2.4, 1.5, 2.4), (0, 0, 0.20)),
    "lip_upper": thicken_lip(True, 0.20, 0.05),
    "lip_lower": thicken_lip(False, 0.20, 0.06),
    "ear_size": ears(0.075, 0.0),
    "ear_flare": ears(0.0, 0.13),
    "neck_girth": thicken_neck(0.055),
    "asymmetry_jaw": push_all((0, -9.5, 6.0), (5.0, 3.0, 5.0), (0.16, 0, 0)),
    "asymmetry_nose": push_all((0, -3.2, 11.0), (1.6, 1.8, 2.2), (0.10, 0, 0)),
    "asymmetry_eyes": move_eyes((0, 0.07, 0), sides=(1.0,)),
}


def shape_basis(template: np.ndarray, eyeballs: list[np.ndarray]) -> np.ndarray:
    """Offsets (S, V, 3) cm of all SHAPES at code 1; eyeballs (index arrays) only move and scale, so they stay round."""
    basis = np.stack([warp(template) for warp in SHAPES.values()])
    for ball in eyeballs:
        from_centre = template[ball] - template[ball].mean(0)
        shift = basis[:, ball].mean(1, keepdims=True)
        growth = ((basis[:, ball] - shift) * from_centre).sum((1, 2), keepdims=True) / (from_centre**2).sum()
        basis[:, ball] = shift + growth * from_centre
    return basis
