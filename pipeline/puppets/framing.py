"""Where a face is in a frame: the box a detector would draw, and cameras that put it where it is wanted."""

import numpy as np
import torch
from torch import Tensor

from pipeline.puppets.exact.arithmetic import exp

FOREHEAD = 0.30  # share of the landmarks' height by which a detector's box reaches above the brows
MARGIN = 0.03  # share of the box beside the jaw and below the chin


def face_box(landmarks: np.ndarray) -> np.ndarray:
    """Tight box (..., 4) left, top, right, bottom of landmarks (..., 68, 2), with the forehead; y runs down."""
    low, high = landmarks.min(-2), landmarks.max(-2)
    width, height = (high - low)[..., 0], (high - low)[..., 1]
    return np.stack(
        [
            low[..., 0] - MARGIN * width,
            low[..., 1] - FOREHEAD * height,
            high[..., 0] + MARGIN * width,
            high[..., 1] + MARGIN * height,
        ],
        -1,
    )


def cameras(drift: np.ndarray, scale: float, centre_cm: np.ndarray, face_cm: float) -> Tensor:
    """Scaled orthographic cameras (T, 3) that drift about a place.

    Args:
        drift: (T, 3) log scale, and shift right and up as shares of the face's height.
        scale: ndc of the tracker's frame per cm.
        centre_cm: (2,) head-frame point that is to be in the middle of the frame.
        face_cm: height of the face.
    """
    size = scale * exp(drift[:, 0])
    shift = drift[:, 1:] * face_cm - centre_cm
    return torch.from_numpy(np.concatenate([size[:, None], shift], 1)).float()


def box_map(box: np.ndarray) -> np.ndarray:
    """Row-major 2x3 map (..., 6) that takes boxes (..., 4) to the full frame's ndc [-1, 1]."""
    left, top, right, bottom = np.moveaxis(np.asarray(box, np.float64), -1, 0)
    zero = np.zeros_like(left)
    wide, high = 2 / (right - left), 2 / (bottom - top)
    return np.stack([wide, zero, -1 - left * wide, zero, high, -1 - top * high], -1).astype(np.float32)
