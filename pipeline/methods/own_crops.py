"""The squares that Bi-Layer and LSR were trained on, each from one frame's 68 landmarks.

Convention: landmarks and frames are edge-aligned px, x right, y down; a crop's own frame is [-1, 1] (ndc). Published
code counts pixels from their centres; the half pixel between is taken off in `bilayer_square` and `bilayer_pose`.
"""

from dataclasses import dataclass

import numpy as np

HALF_PX = 0.5  # from a pixel's edge to its centre
LSR_SIDE, LSR_BELOW = 1.77, 0.11


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


def bilayer_square(landmarks_px: np.ndarray) -> Square:
    """Bi-Layer's crop: twice the longer side of the landmarks' box, a sixth of that side above its middle.

    Source: saic-violet/bilayer-model at c01cebe, infer.py. Quirks kept: all in whole pixels; the middle is rounded
    (halves to even), the side truncated, and a sixth of it rounded down.

    Args:
        landmarks_px: (68, 2).

    Raises:
        ValueError: the landmarks are not finite or span less than a pixel.
    """
    low, high = _box(landmarks_px, "Bi-Layer")
    middle = np.round((low + high) / 2).astype(int)
    side = int((high - low).max())
    return Square(int(middle[0]) - side, int(middle[1]) - side // 6 - side, 2 * side)


def bilayer_pose(landmarks_px: np.ndarray, square: Square) -> np.ndarray:
    """Landmarks (68, 2) as Bi-Layer's networks and its drawing take them, in [-1, 1] of the crop.

    Quirk: a pixel's number stands for its place, so everything lies half a frame's pixel left of and above the truth.
    """
    return apply(square.to_crop, landmarks_px - HALF_PX)


def lsr_square(landmarks_px: np.ndarray) -> Square:
    """A crop like those that LSR was trained on: VoxCeleb2's own, which come with its videos and have no known rule.

    Choice: 1.77 times the longer side of the landmarks' box, and the middle 0.11 of that side below the box's.
    Measured on 939 frames of five utterances as VoxCeleb2 releases them; in four frames of five the factor lies in
    1.68 to 1.86 and the shift in 0.07 to 0.14.

    Args:
        landmarks_px: (68, 2).

    Raises:
        ValueError: the landmarks are not finite or span less than a pixel.
    """
    low, high = _box(landmarks_px, "LSR")
    longer = (high - low).max()
    side = max(1, round(LSR_SIDE * longer))
    middle = (low + high) / 2 + HALF_PX + (0, LSR_BELOW * longer)
    left, top = np.round(middle - side / 2).astype(int)
    return Square(int(left), int(top), side)


def lsr_pose(landmarks_px: np.ndarray, square: Square) -> np.ndarray:
    """Landmarks (68, 2) as `pipeline.methods.contours` takes them, in [-1, 1] of the crop."""
    return apply(square.to_crop, landmarks_px)


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


def _box(landmarks_px: np.ndarray, system: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners (2,) of the landmarks' box, counted from pixel centres."""
    if landmarks_px.shape != (68, 2) or not np.isfinite(landmarks_px).all():
        raise ValueError(f"{system}'s crop needs 68 finite landmarks (68, 2), got shape {landmarks_px.shape}")
    marks = np.asarray(landmarks_px, np.float64) - HALF_PX
    low, high = marks.min(0), marks.max(0)
    if not (high - low).max() >= 1:
        raise ValueError(f"{system}'s crop is empty: the landmarks span no pixel")
    return low, high
