"""Where a network looks in an image: a turned square, cut out at the network's own size.

Convention: px of the image, edge-aligned (model/frame/coords.py). OpenCV counts pixel centres as integers; that is
seen to here and nowhere else.
"""

import math
from dataclasses import dataclass

import numpy as np

_MARGIN = 4  # blocks around the square, so that nothing samples across the rim of its region


@dataclass(frozen=True)
class Square:
    """A square on an image.

    Attributes:
        centre_px: (2,).
        side_px: its side.
        angle_rad: from the image's x axis to the square's, clockwise as the viewer sees it.
    """

    centre_px: np.ndarray
    side_px: float
    angle_rad: float

    def to_image(self, size: int) -> np.ndarray:
        """The map (2, 3) from px of its picture of `size` px to px of the image."""
        scale = self.side_px / size
        cos, sin = math.cos(self.angle_rad) * scale, math.sin(self.angle_rad) * scale
        linear = np.array([[cos, -sin], [sin, cos]])
        return np.concatenate([linear, (self.centre_px - linear @ [size / 2, size / 2])[:, None]], 1)

    @classmethod
    def around(cls, image_hw: tuple[int, int]) -> "Square":
        """The upright square that holds a whole image in its middle."""
        height, width = image_hw
        return cls(np.array([width / 2, height / 2]), float(max(height, width)), 0.0)


def cut(frame_u8: np.ndarray, square: Square, size: int, *, black: bool) -> np.ndarray:
    """Cut a square out of an image, bilinearly; what is to be halved or more is averaged over blocks first.

    The blocks lie where they lie whatever the square is, and nothing is rounded after them: a square that moves by
    little changes its picture by little, so that runners that differ in the last digits go on seeing the same.

    Args:
        frame_u8: (H, W, 3) uint8.
        square: where.
        size: side of the result, px.
        black: what lies outside the image: black, else its edge repeated.

    Returns:
        (size, size, 3) float32, 0 to 255.
    """
    import cv2

    region, to_region = _region(frame_u8, square.to_image(size), size, max(1, int(square.side_px / size)))
    to_centres = to_region.copy()
    to_centres[:, 2] += to_region[:, :2] @ [0.5, 0.5] - 0.5
    border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(region.astype(np.float32), to_centres, (size, size), flags=flags, borderMode=border)


def _region(frame_u8: np.ndarray, to_image: np.ndarray, size: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image around a square, one pixel a block; and the map to it."""
    import cv2

    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]) @ to_image.T / block
    blocks = -(-np.array(frame_u8.shape[1::-1]) // block)
    low = np.clip(np.floor(corners.min(0)) - _MARGIN, 0, blocks - 1).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + _MARGIN, low + 1, blocks).astype(int)
    (left, top), (right, bottom) = low * block, high * block
    region = frame_u8[top:bottom, left:right]
    if block > 1:
        below, beyond = bottom - top - region.shape[0], right - left - region.shape[1]
        if below or beyond:  # the image ends within a block
            region = cv2.copyMakeBorder(region, 0, below, 0, beyond, cv2.BORDER_REPLICATE)
        width, height = high - low
        region = cv2.resize(region, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    to_region = to_image / block
    to_region[:, 2] -= low
    return region, to_region


def place(points: np.ndarray, to_image: np.ndarray) -> np.ndarray:
    """Carry points (N, 2) of a square's picture to px of the image."""
    return points @ to_image[:, :2].T + to_image[:, 2]
