"""LSR's drawing of a pose: 68 landmarks as anti-aliased contours on black.

Source: MoustafaMeshry/lsr at a9a6643, preprocessing/landmarks/release_landmark.py. Anti-aliased pixels are part of what
the network was trained on, so the drawing goes through the same library: matplotlib's Agg canvas, 100 dots an inch, a
figure of side / 100 inches without margins, lines of 2 points (2.78 px) with projecting ends and round joins.

Convention: published landmarks count pixels from their centres, as the axes of a shown image do.
"""

import numpy as np

DPI = 100
WIDTH_PT = 2
HALF_PX = 0.5  # from a pixel's edge to its centre
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


def draw(landmarks: np.ndarray, side_px: int = 224) -> np.ndarray:
    """Draw poses.

    Args:
        landmarks: (B, 68, 2) in [-1, 1] of the drawing (ndc: -1 is the outer edge of the first pixel).
        side_px: of the drawings.

    Returns:
        (B, side, side, 3) uint8 RGB; the network's input is this / 255.

    Raises:
        ValueError: landmarks of another shape, or not finite.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"a contour drawing needs finite landmarks (B, 68, 2), got {landmarks.shape}")
    figure = Figure(figsize=(side_px / DPI, side_px / DPI), dpi=DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    lines = [
        axes.plot([], [], color=color, lw=WIDTH_PT, antialiased=True, solid_capstyle="projecting",
                  solid_joinstyle="round")[0]
        for _, _, color in PARTS
    ]  # fmt: skip
    axes.set_xlim(-HALF_PX, side_px - HALF_PX)
    axes.set_ylim(side_px - HALF_PX, -HALF_PX)
    drawings = np.empty((len(landmarks), side_px, side_px, 3), np.uint8)
    for drawing, points in zip(drawings, (landmarks + 1) / 2 * side_px - HALF_PX, strict=True):
        for line, (first, end, _) in zip(lines, PARTS, strict=True):
            line.set_data(*points[first:end].T)
        canvas.draw()
        drawing[:] = np.asarray(canvas.buffer_rgba())[..., :3]
    return drawings
