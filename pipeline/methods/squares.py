"""Squares of a frame: what systems with a crop of their own cut out, and where their images belong.

Convention: landmarks and frames are edge-aligned px, x right, y down; a crop's own frame is [-1, 1] (ndc). Published
code counts pixels from their centres, half a pixel less.
"""

from dataclasses import dataclass

import numpy as np

HALF_PX = 0.5  # from a pixel's edge to its centre


@dataclass(frozen=True)
class Square:
    """A square of a frame, along pixel edges: column and row where it begins, and its side. It may leave the frame."""

    left: int
    top: int
    side: int

    @property
    def to_crop(self) -> np.ndarray:
        """(2, 3) float64 map from the frame's px to the crop's ndc."""
        scale = 2 / self.side
        return np.array([[scale, 0, -self.left * scale - 1], [0, scale, -self.top * scale - 1]])

    @property
    def to_frame(self) -> np.ndarray:
        """(2, 3) float64 map from the crop's ndc to the frame's px: the inverse of `to_crop`."""
        half = self.side / 2
        return np.array([[half, 0, self.left + half], [0, half, self.top + half]])


def cut(frame_u8: np.ndarray, square: Square, side_px: int) -> np.ndarray:
    """Cut a square out and resize it as Bi-Layer's published code does: PIL's bicubic filter, black outside the frame.

    Args:
        frame_u8: (H, W, 3) RGB.
        square: of the frame.
        side_px: of the result.

    Returns:
        (side, side, 3) uint8.
    """
    from PIL import Image

    edges = (square.left, square.top, square.left + square.side, square.top + square.side)
    resized = Image.fromarray(frame_u8).crop(edges).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) map to points (..., 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def landmarks_box(landmarks_px: np.ndarray, system: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners (2,) of the box of landmarks, counted from pixel centres.

    Args:
        landmarks_px: (68, 2) px.
        system: whose crop it is for, for messages.

    Raises:
        ValueError: the landmarks are not finite or span less than a pixel.
    """
    if landmarks_px.shape != (68, 2) or not np.isfinite(landmarks_px).all():
        raise ValueError(f"{system}'s crop needs 68 finite landmarks (68, 2), got shape {landmarks_px.shape}")
    marks = np.asarray(landmarks_px, np.float64) - HALF_PX
    low, high = marks.min(0), marks.max(0)
    if not (high - low).max() >= 1:
        raise ValueError(f"{system}'s crop is empty: the landmarks span no pixel")
    return low, high
