"""What is behind a puppet: a soft picture baked once and laid under every frame by an affine map."""

import numpy as np

from pipeline.puppets.people import Look

TEXTURE = 256
EXTENT = 1.6  # the picture spans [-EXTENT, EXTENT] of the camera's ndc and is mirrored beyond


def make_backdrop(look: Look) -> np.ndarray:
    """Paint the background of a look: (256, 256, 3) float32 sRGB in [0, 1], out of focus as behind a face."""
    import cv2

    rng = np.random.default_rng([look.seed, 4])
    y, x = np.mgrid[0:TEXTURE, 0:TEXTURE].astype(np.float32) / TEXTURE
    painted = _PAINTERS[look.backdrop](rng, look, x, y).astype(np.float32)
    image = cv2.GaussianBlur(painted, (0, 0), float(rng.uniform(1.2, 3.5)))
    vignette = 1.06 - 0.35 * ((x - rng.uniform(0.3, 0.7)) ** 2 + (y - 0.4) ** 2)
    grain = rng.normal(0, 0.006, (TEXTURE, TEXTURE, 1))
    return np.clip(image * vignette[..., None] + grain, 0, 1).astype(np.float32)


def lay_backdrop(backdrop: np.ndarray, frame_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Show the part of a backdrop that a frame sees.

    Args:
        backdrop: of `make_backdrop`.
        frame_map: (6,) row-major 2x3 map from the camera's ndc to the frame's ndc.
        size_hw: height and width of the frame.

    Returns:
        (H, W, 3) float32 sRGB.
    """
    import cv2

    height, width = size_hw
    to_frame = np.vstack([np.asarray(frame_map, np.float64).reshape(2, 3), [0, 0, 1]])
    frame_ndc_of_index = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    half = TEXTURE / 2
    index_of_camera_ndc = np.array([[half / EXTENT, 0, half - 0.5], [0, half / EXTENT, half - 0.5], [0, 0, 1]])
    index_map = (index_of_camera_ndc @ np.linalg.inv(to_frame) @ frame_ndc_of_index)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(backdrop, index_map, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def _blend(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    return low + (high - low) * share[..., None]


def _gradient(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    share = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    return _blend(look.wall, 0.5 * look.wall + 0.5 * look.second_wall, share)


def _blocks(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    image = _gradient(rng, look, x, y)
    for _ in range(rng.integers(5, 12)):
        left, top, width, height = *rng.uniform(-0.1, 0.9, 2), *rng.uniform(0.06, 0.4, 2)
        inside = (x > left) & (x < left + width) & (y > top) & (y < top + height)
        image[inside] = np.clip(look.second_wall * rng.uniform(0.5, 1.4) + rng.normal(0, 0.06, 3), 0, 1)
    return image


def _shelves(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    image = np.broadcast_to(look.wall * 0.5, (*x.shape, 3)).copy()
    across, down = x[0], y[:, 0]
    edges = np.cumsum(rng.uniform(0.11, 0.19, 12)) - 0.05
    for top, bottom in zip(edges[:-1], edges[1:], strict=True):
        left = rng.uniform(-0.03, 0.0)
        while left < 1:
            width, height = rng.uniform(0.012, 0.045), (bottom - top) * rng.uniform(0.6, 0.92)
            rows = _run((down > bottom - 0.012 - height) & (down < bottom - 0.012))
            columns = _run((across >= left) & (across < left + width))
            image[rows, columns] = np.clip(rng.uniform(0.1, 0.75, 3) * 0.6 + 0.4 * look.second_wall, 0, 1)
            left += width + (rng.uniform(0.03, 0.1) if rng.random() < 0.1 else 0.002)
        image[_run((down >= bottom - 0.012) & (down < bottom))] = look.wall * 0.8
    return image


def _run(inside: np.ndarray) -> slice:
    """The stretch of a row or column (n,) where a condition holds; what it is true for lies together."""
    return slice(first := int(inside.argmax()), first + int(inside.sum()))


def _clouds(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    import cv2

    share = np.zeros_like(x)
    for cells, strength in ((3, 0.6), (6, 0.35), (14, 0.2)):
        coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        share += strength * cv2.resize(coarse, x.shape[::-1], interpolation=cv2.INTER_CUBIC)
    image = _blend(look.wall, look.second_wall, np.clip(0.5 + share, 0, 1))
    for _ in range(rng.integers(0, 9)):  # lamps out of focus
        centre, radius = rng.uniform(0, 1, 2), rng.uniform(0.015, 0.05)
        disc = np.clip(4 - 4 * np.hypot(x - centre[0], y - centre[1]) / radius, 0, 1)
        image = _blend(image, np.clip(look.second_wall * 1.5 + 0.25, 0, 1), 0.55 * disc)
    return image


def _stripes(rng: np.random.Generator, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle, pitch = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)]), rng.uniform(14, 45)
    wave = np.sin(pitch * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6))
    return _blend(look.wall, 0.6 * look.wall + 0.4 * look.second_wall, np.clip(0.5 + 1.5 * wave, 0, 1))


_PAINTERS = {"gradient": _gradient, "blocks": _blocks, "shelves": _shelves, "clouds": _clouds, "stripes": _stripes}
