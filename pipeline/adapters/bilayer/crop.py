"""The square that Bi-Layer was trained on, from 68 landmarks (conventions of `pipeline.methods.squares`)."""

import numpy as np

from pipeline.methods.squares import HALF_PX, Square, apply, landmarks_box


def square_of(landmarks_px: np.ndarray) -> Square:
    """Bi-Layer's crop: twice the longer side of the landmarks' box, a sixth of that side above its middle.

    Source: saic-violet/bilayer-model at c01cebe, infer.py. Quirks kept: all in whole pixels; the middle is rounded
    (halves to even), the side truncated, and a sixth of it rounded down.

    Args:
        landmarks_px: (68, 2).

    Raises:
        ValueError: the landmarks are not finite or span less than a pixel.
    """
    low, high = landmarks_box(landmarks_px, "Bi-Layer")
    middle = np.round((low + high) / 2).astype(int)
    side = int((high - low).max())
    return Square(int(middle[0]) - side, int(middle[1]) - side // 6 - side, 2 * side)


def pose_in(landmarks_px: np.ndarray, square: Square) -> np.ndarray:
    """Landmarks (68, 2) as Bi-Layer's networks and its drawing take them, in [-1, 1] of the crop.

    Quirk: a pixel's number stands for its place, so everything lies half a frame's pixel left of and above the truth.
    """
    return apply(square.to_crop, landmarks_px - HALF_PX)
