"""The resizes of a crop, by the names that crop protocols carry."""

from collections.abc import Callable

import numpy as np
from PIL import Image

Resize = Callable[[np.ndarray, int], np.ndarray]


def triangle_antialias(frame: np.ndarray, size_px: int) -> np.ndarray:
    """Resize an (H, W, 3) uint8 frame to a square, each axis by its own factor, with a triangle filter.

    The filter is as wide as a result pixel's share of the source (Pillow's bilinear): it differs from
    `gaussian_antialias` by half a grey level on average, where area averaging differs by two.
    """
    return np.asarray(Image.fromarray(frame).resize((size_px, size_px), Image.Resampling.BILINEAR))


def gaussian_antialias(frame: np.ndarray, size_px: int) -> np.ndarray:
    """Resize as load_videos.py does: skimage's `resize(anti_aliasing=True)`, then rounding to uint8.

    A Gaussian of (factor - 1) / 2 pixels, mirrored at the edges, then bilinear sampling between
    half-pixel centres; an axis that grows is only sampled. Tens of times slower than the triangle.
    """
    from scipy import ndimage

    shape = np.array([size_px, size_px, frame.shape[2]])
    factors = np.array(frame.shape) / shape
    sigma = np.maximum(0, (factors - 1) / 2)
    image = ndimage.gaussian_filter(frame / 255.0, sigma, mode="mirror")
    image = ndimage.zoom(image, 1 / factors, order=1, mode="mirror", grid_mode=True)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


RESIZES: dict[str, Resize] = {
    "triangle_antialias": triangle_antialias,
    "gaussian_antialias": gaussian_antialias,
}
