"""Shadows of a puppet on itself, found in the depth map."""

import numpy as np


def find_shadows(
    depth: np.ndarray, towards_lamp: tuple[float, float, float], px_per_cm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find how much light reaches every pixel, at half the resolution: shadows are soft.

    Args:
        depth: (H, W) in cm, 0 = background.
        towards_lamp: unit direction to the lamp; x right, y up, z to the viewer.
        px_per_cm: scale of the frame.

    Returns:
        Openness to the ambient light and to the lamp, each (H, W) float32 in [0, 1].
    """
    import cv2

    height, width = depth.shape
    half = np.array(depth[::2, ::2], np.float32)
    half[half == 0] = half.max() + 4.0
    px_per_cm *= 0.5
    shares = (1.0 - _creases(half, px_per_cm), 1.0 - 0.85 * _shade(half, towards_lamp, px_per_cm))
    ambient, lamp = (cv2.resize(share, (width, height)) for share in shares)
    return ambient, lamp


def _creases(depth: np.ndarray, px_per_cm: float) -> np.ndarray:
    """How deep every pixel lies between its neighbours, near and far."""
    import cv2

    total = np.zeros_like(depth)
    for radius_cm, strength in ((0.45, 0.55), (1.6, 0.30)):
        side = max(3, int(radius_cm * px_per_cm) * 2 + 1)
        deeper: np.ndarray = cv2.blur(depth, (side, side))
        np.subtract(depth, deeper, out=deeper)
        deeper /= radius_cm
        deeper.clip(0, 1, out=deeper)
        deeper *= strength
        total += deeper
    return total


def _shade(depth: np.ndarray, towards_lamp: tuple[float, float, float], px_per_cm: float) -> np.ndarray:
    """How far what stands between every pixel and the lamp rises above the ray, with a soft border."""
    import cv2

    x, y, z = towards_lamp
    flat = max(float(np.hypot(x, y)), 1e-3)
    reach = int(np.ceil(5.0 * px_per_cm)) + 1
    padded = cv2.copyMakeBorder(depth, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    blocked, higher = np.zeros_like(depth), np.empty_like(depth)
    for step_cm in (0.5, 1.1, 2.0, 3.3, 5.0):
        dx, dy = (reach + round(step_cm * px_per_cm * s / flat) for s in (x, -y))
        np.subtract(depth, padded[dy : dy + depth.shape[0], dx : dx + depth.shape[1]], out=higher)
        higher -= z / flat * step_cm
        higher *= 1 / (0.25 + 0.25 * step_cm)
        np.maximum(blocked, higher, out=blocked)
    side = max(3, int(0.35 * px_per_cm) * 2 + 1)
    return cv2.blur(blocked.clip(0, 1, out=blocked), (side, side))
