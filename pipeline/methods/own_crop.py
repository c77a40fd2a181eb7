"""What systems with a crop of their own share: squares and poses of landmarks, and the frames cut out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor, ndc_to_px, tensor_to_frames
from pipeline.methods.protocol import View
from pipeline.methods.squares import Square, cut

SquareOf = Callable[[np.ndarray], Square]
PoseIn = Callable[[np.ndarray, Square], np.ndarray]


def landmarks_px(view: View) -> np.ndarray:
    """Landmarks (F, 68, 2) in px of the frames, float64."""
    return ndc_to_px(view.landmarks().double(), view.size_hw).cpu().numpy()


def squares_and_poses(view: View, square_of: SquareOf, pose_in: PoseIn) -> tuple[tuple[Square, ...], np.ndarray]:
    """Each frame's square, and its landmarks (F, 68, 2) in [-1, 1] of the square."""
    marks = landmarks_px(view)
    squares = tuple(square_of(face) for face in marks)
    return squares, np.stack([pose_in(face, square) for face, square in zip(marks, squares, strict=True)])


def cut_out(view: View, squares: Sequence[Square], side_px: int) -> Tensor:
    """Each frame's square, (F, 3, side, side) in [0, 1], black outside the frame."""
    images = view.images()
    frames = tensor_to_frames(images).cpu().numpy()
    crops = [cut(frame, square, side_px) for frame, square in zip(frames, squares, strict=True)]
    return frames_to_tensor(torch.from_numpy(np.stack(crops))).to(images.device)


def drawn(drawings_u8: np.ndarray, like: Tensor) -> Tensor:
    """Drawings (F, n, n, 3) uint8 as images (F, 3, n, n) in [0, 1], where and as precise as others are."""
    return frames_to_tensor(torch.from_numpy(drawings_u8)).to(like)
