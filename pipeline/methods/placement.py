"""Between a clip's frame and a network's image: the shared crop is resized, an own crop is put in its place."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F

from pipeline.methods.squares import Square


def resized(img: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W): bilinear between pixels' edges, smoothed where it shrinks; the same where the size is."""
    if tuple(img.shape[-2:]) == size_hw:
        return img
    return F.interpolate(img, size_hw, mode="bilinear", align_corners=False, antialias=True)


def put_back(
    made: Tensor, size_hw: tuple[int, int], squares: Sequence[Square] | None, around: Callable[[], Tensor]
) -> Tensor:
    """Bring what a network made into the clip's frame.

    Args:
        made: (B, 3, n, n); values outside [0, 1] are clamped first, as they are where frames are written.
        size_hw: of the frame.
        squares: where in the frame each image belongs; None where it is the whole frame.
        around: gives (B, 3, H, W), what fills pixels outside the squares.

    Returns:
        (B, 3, H, W).
    """
    made = made.clamp(0, 1)
    if squares is None:
        return resized(made, size_hw)
    whole = around().clone()
    height, width = size_hw
    for frame, img, square in zip(whole, made, squares, strict=True):
        inside = resized(img[None], (square.side, square.side))[0]
        top, left = max(0, square.top), max(0, square.left)
        bottom, right = min(height, square.top + square.side), min(width, square.left + square.side)
        if top < bottom and left < right:
            part = inside[:, top - square.top : bottom - square.top, left - square.left : right - square.left]
            frame[:, top:bottom, left:right] = part
    return whole
