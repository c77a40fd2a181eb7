"""Numbers as colours: displacements, guidance maps, and sheets of panels with labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.atomic import written_aside

WHITE = 255
MARGIN = 6
PANEL_PX = 128


def colour_wheel(disp_ndc: np.ndarray, scale_ndc: float) -> np.ndarray:
    """Colour a displacement (2, h, w) in ndc: hue is direction, saturation is length, white is zero.

    Convention: a vector to the right is red, downwards yellow-green, to the left cyan, upwards violet;
    lengths of `scale_ndc` and more are fully saturated. Returns (h, w, 3) uint8.
    """
    x, y = disp_ndc
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    saturation = np.clip(np.hypot(x, y) / scale_ndc, 0, 1)
    ramp = np.abs((hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1  # hue -> rgb, value 1
    rgb = 1 - saturation[..., None] * (1 - ramp.clip(0, 1))
    return (rgb * 255).round().astype(np.uint8)


def wheel_key(side: int) -> np.ndarray:
    """The legend of `colour_wheel`: a disc, (side, side, 3) uint8."""
    axis = (np.arange(side) + 0.5) * 2 / side - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    disc = colour_wheel(np.stack([x, y]), 1.0)
    disc[np.hypot(x, y) > 1] = WHITE
    return disc


def principal_colours(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projection of d-dimensional codes (V, d) to three colours: a (d + 1, 3) affine map and its sign rule.

    Returns:
        (d, 3) directions and (2, 3) low and high values that become 0 and 1.
    """
    centred = codes - codes.mean(0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:3].T  # (d, 3)
    directions = directions * np.where(np.abs(directions).max(0) == directions.max(0), 1.0, -1.0)  # a fixed sign
    return directions, np.quantile(codes @ directions, [0.02, 0.98], axis=0)


def colour_codes(maps: np.ndarray, directions: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Colour rendered codes (d, h, w) by `principal_colours`; the background, zero everywhere, is white."""
    covered = np.abs(maps).sum(0) > 0
    values = np.einsum("dhw,dk->hwk", maps, directions)
    rgb = ((values - bounds[0]) / (bounds[1] - bounds[0])).clip(0, 1)
    return np.where(covered[..., None], (rgb * 255).round(), WHITE).astype(np.uint8)


def colour_nmfc(maps: np.ndarray) -> np.ndarray:
    """Colour rendered mean-face coordinates (3, h, w) in [0, 1]; the background is white."""
    covered = np.abs(maps).sum(0) > 0
    rgb = (maps.transpose(1, 2, 0).clip(0, 1) * 255).round()
    return np.where(covered[..., None], rgb, WHITE).astype(np.uint8)


def sheet(title: str, headers: Sequence[str], rows: Sequence[tuple[str, Sequence[np.ndarray | None]]]) -> Image.Image:
    """Lay panels out in a table.

    Args:
        title: first line of the picture.
        headers: a text above each column.
        rows: a caption and the (h, w, 3) uint8 panels of each line; None leaves a gap. Panels are enlarged
            to `PANEL_PX` by the nearest pixel, so pixels stay visible.
    """
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    left, top, step = 92, 52, PANEL_PX + MARGIN
    size = (left + step * len(headers) + MARGIN, top + step * len(rows) + MARGIN)
    canvas = Image.new("RGB", size, (WHITE,) * 3)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, fill=(20, 20, 20), font=font)
    for column, text in enumerate(headers):
        draw.text((left + column * step, top - 20), text, fill=(60, 60, 60), font=small)
    for line, (caption, panels) in enumerate(rows):
        draw.multiline_text((MARGIN, top + line * step + 4), caption, fill=(60, 60, 60), font=small)
        for column, panel in enumerate(panels):
            if panel is not None:
                enlarged = Image.fromarray(panel).resize((PANEL_PX, PANEL_PX), Image.Resampling.NEAREST)
                canvas.paste(enlarged, (left + column * step, top + line * step))
    return canvas


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whose bytes depend on the pixels alone."""
    with written_aside(path) as partial:
        image.save(partial, format="PNG")  # `optimize` takes eight times as long for a hundredth of the size
