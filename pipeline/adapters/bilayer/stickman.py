"""Bi-Layer's drawing of a pose: 68 landmarks as coloured polylines.

Source: saic-violet/bilayer-model at c01cebe, datasets/utils.py. The embedder was trained on these pixels, hence they
are kept to the bit: a canvas of 1 and not of 0, positions truncated to whole pixels, lines of OpenCV's thickness 2
without anti-aliasing, parts in this order (later ones lie above).
"""

import numpy as np

THICKNESS_PX = 2
CANVAS = 1  # quirk: of 255
# Indices, whether the last joins the first, and RGB. Quirk: the nose's ridge runs on to the middle of its base.
PARTS: tuple[tuple[list[int], bool, tuple[int, int, int]], ...] = (
    ([*range(17)], False, (255, 255, 255)),  # jaw
    ([*range(17, 22)], False, (255, 0, 0)),  # brows
    ([*range(22, 27)], False, (0, 255, 0)),
    ([27, 28, 29, 30, 30, 33], False, (0, 0, 255)),  # nose
    ([*range(31, 36)], False, (0, 0, 255)),
    ([*range(36, 42)], True, (255, 0, 255)),  # eyes
    ([*range(42, 48)], True, (0, 255, 255)),
    ([*range(48, 60)], True, (255, 255, 0)),  # lips
    ([*range(60, 68)], True, (255, 255, 0)),
)


def draw(landmarks: np.ndarray, side_px: int = 256) -> np.ndarray:
    """Draw poses.

    Args:
        landmarks: (B, 68, 2) in [-1, 1] of Bi-Layer's crop (`crop.py` beside this); what lies outside is cut.
        side_px: of the drawings.

    Returns:
        (B, side, side, 3) uint8 RGB; the network's input is this / 255.

    Raises:
        ValueError: landmarks of another shape, or not finite.
    """
    import cv2

    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"a stickman needs finite landmarks (B, 68, 2), got {landmarks.shape}")
    at_px = ((landmarks + 1) / 2 * side_px).astype(np.int32)  # truncates
    drawings = np.full((len(landmarks), side_px, side_px, 3), CANVAS, np.uint8)
    for drawing, points in zip(drawings, at_px, strict=True):
        for indices, closed, rgb in PARTS:
            cv2.polylines(drawing, [points[indices]], closed, rgb, thickness=THICKNESS_PX)
    return drawings
