"""LSR's drawing of a pose: 68 landmarks as anti-aliased contours on black.

Source: MoustafaMeshry/lsr at a9a6643, preprocessing/landmarks/release_landmark.py. Anti-aliased pixels are part of what
the network was trained on, so the drawing goes through the same library: matplotlib's Agg canvas, 100 dots an inch, a
figure of side / 100 inches without margins, lines of 2 points (2.78 px) with projecting ends and round joins.

Convention: published landmarks count pixels from their centres, as the axes of a shown image do.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.transforms import TransformNode

DPI = 100
PUBLISHED_PX = 224
WIDTH_PT = 2  # at the published side
HALF_PX = 0.5  # from a pixel's edge to its centre
BLACK = (0, 0, 0, 255)
# First index, the one after the last, and the colour's name. Quirk: nothing is closed, eyes and lips neither.
PARTS = (
    (0, 17, "green"),  # jaw
    (17, 22, "orange"),  # brows
    (22, 27, "orange"),
    (27, 31, "blue"),  # nose
    (31, 36, "blue"),
    (36, 42, "red"),  # eyes
    (42, 48, "red"),
    (48, 60, "purple"),  # lips
    (60, 68, "pink"),
)


def draw(landmarks: np.ndarray, side_px: int = PUBLISHED_PX) -> np.ndarray:
    """Draw poses.

    Args:
        landmarks: (B, 68, 2) in [-1, 1] of the drawing (ndc: -1 is the outer edge of the first pixel).
        side_px: of the drawings. Lines are as wide a share of it as of the published side: two points on 64 px would
            fill eyes and lips.

    Returns:
        (B, side, side, 3) uint8 RGB; the network's input is this / 255.

    Raises:
        ValueError: landmarks of another shape, or not finite.

    The paths go to the canvas's renderer with what axes would give them. The pixels are those of a drawn
    figure; four drawings of 64 px take a twelfth of its time (0.23 ms each).
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.colors import to_rgba
    from matplotlib.path import Path
    from matplotlib.transforms import Bbox

    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"a contour drawing needs finite landmarks (B, 68, 2), got {landmarks.shape}")
    renderer, to_canvas = RendererAgg(side_px, side_px, DPI), _to_canvas(side_px)
    pens = []
    for _, _, colour in PARTS:
        pen = renderer.new_gc()
        pen.set_foreground(to_rgba(colour), isRGBA=True)
        pen.set_linewidth(WIDTH_PT * side_px / PUBLISHED_PX)
        pen.set_capstyle("projecting")
        pen.set_joinstyle("round")
        pen.set_clip_rectangle(Bbox.from_bounds(0, 0, side_px, side_px))
        pens.append(pen)
    canvas = np.asarray(renderer.buffer_rgba())  # of the renderer's own memory
    drawings = np.empty((len(landmarks), side_px, side_px, 3), np.uint8)
    for drawing, points in zip(drawings, (landmarks + 1) / 2 * side_px - HALF_PX, strict=True):
        canvas[:] = BLACK
        for pen, (first, end, _) in zip(pens, PARTS, strict=True):
            renderer.draw_path(pen, Path(points[first:end]), to_canvas)
        drawing[:] = canvas[..., :3]
    return drawings


@cache
def _to_canvas(side_px: int) -> "TransformNode":
    """What axes over all of a square figure make of pixel numbers, row 0 on top."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(side_px / DPI, side_px / DPI), dpi=DPI).add_axes((0, 0, 1, 1))
    axes.set_xlim(-HALF_PX, side_px - HALF_PX)
    axes.set_ylim(side_px - HALF_PX, -HALF_PX)
    return axes.transData.get_affine().frozen()
