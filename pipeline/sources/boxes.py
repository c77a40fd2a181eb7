"""Boxes: FOMM's tube rules, and how a listed box becomes a crop of the real frame.

A box is (left, top, right, bottom) on pixel edges: it covers columns left..right-1. Source of every
rule: AliaksandrSiarohin/video-preprocessing, crop_vox.py, util.py and load_videos.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.params.data import TubeParams
from pipeline.work.ledger import ClipError

Box = tuple[float, float, float, float]
PixelBox = tuple[int, int, int, int]

REFERENCE_HEIGHT_PX = 360  # VoxCeleb1's annotations are pixels of a frame of this height


def iou(a: Box, b: Box) -> float:
    """Intersection over union with inclusive borders (+1 on each side), as the reference counts it."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def union(a: Box, b: Box) -> Box:
    """The smallest box around both."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def enlarge(box: Box, increase: float, shape: Literal["square", "sides"]) -> PixelBox:
    """Enlarge a box by a share of its sides, truncating towards zero as the reference's int() does.

    Args:
        box: in pixels.
        increase: share of a side added at both its ends (FOMM: 0.1).
        shape: `square` gives the square of 1 + 2 * increase times the longer side
            (`compute_aspect_preserved_bbox`); `sides` lets each side grow alone (`compute_increased_bbox`).
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    along_x = along_y = increase
    if shape == "square":
        along_x = max(increase, ((1 + 2 * increase) * height - width) / (2 * width))
        along_y = max(increase, ((1 + 2 * increase) * width - height) / (2 * height))
    return (
        int(left - along_x * width),
        int(top - along_y * height),
        int(right + along_x * width),
        int(bottom + along_y * height),
    )


@dataclass(frozen=True)
class Tube:
    """A run [first, end) of a track, and the union of its boxes."""

    first: int
    end: int
    box: Box


def follow(track: Sequence[Box], iou_with_first: float, max_frames: int) -> list[Tube]:
    """Cut a track (one box a frame) where it leaves its first box or grows too long."""
    tubes: list[Tube] = []
    first = 0
    for i, box in enumerate(track):
        if i == first:
            around = box
            continue
        if iou(track[first], box) < iou_with_first or i - first >= max_frames:
            tubes.append(Tube(first, i, around))
            first, around = i, box
        around = union(around, box)
    if track:
        tubes.append(Tube(first, len(track), around))
    return tubes


def clip_to_frame(box: PixelBox, frame_wh: tuple[int, int]) -> PixelBox:
    """Cut what lies outside the frame, without padding; a box with nothing left raises ClipError."""
    width, height = frame_wh
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    if left >= right or top >= bottom:
        raise ClipError("out_of_frame", f"box {box} lies outside the {width}x{height} frame")
    return left, top, right, bottom


@dataclass(frozen=True)
class ListedBox:
    """FOMM's csv: one box in pixels of a frame of the listed size, clipped at the real frame's edge."""

    box: PixelBox
    listed_wh: tuple[int, int]

    def place(self, frame_wh: tuple[int, int], tube: TubeParams, pixel_aspect: float = 1.0) -> PixelBox:
        """Scale the box to the real frame (load_videos.py: `int(v / (listed / real))`) and clip it.

        Each axis has its own factor, so it does not matter whether the listed frame's pixels were square.
        """
        ratio = [listed / real for listed, real in zip(self.listed_wh, frame_wh, strict=True)] * 2
        left, top, right, bottom = (int(v / r) for v, r in zip(self.box, ratio, strict=True))
        return clip_to_frame((left, top, right, bottom), frame_wh)


@dataclass(frozen=True)
class TubeBox:
    """A track's union box: in pixels of a 360-high frame, in fractions of the sides, or in source pixels."""

    box: Box
    unit: Literal["height360", "fraction", "px"]

    def place(self, frame_wh: tuple[int, int], tube: TubeParams, pixel_aspect: float = 1.0) -> PixelBox:
        """Scale to the real frame, refuse a small face, enlarge, and refuse or clip what sticks out.

        Args:
            frame_wh: width and height of the stored frame, turned upright.
            tube: the rules; `pixels` says whether sides are measured in stored or in square pixels.
            pixel_aspect: width of a stored pixel over its height. The 360-high frame has square pixels.
        """
        height = frame_wh[1]
        per_stored = pixel_aspect if tube.pixels == "square" else 1  # x is measured in this many a stored pixel
        width = frame_wh[0] * per_stored
        per_360th = height / REFERENCE_HEIGHT_PX
        along_x = per_360th * (per_stored / pixel_aspect)
        scales = {"fraction": (width, height), "height360": (along_x, per_360th), "px": (per_stored, 1)}
        left, top, right, bottom = (v * s for v, s in zip(self.box, scales[self.unit] * 2, strict=True))
        size = max(right - left, bottom - top)
        if size < tube.min_size_px:
            raise ClipError("too_small", f"face box is {size:.0f} px, crop.tube.min_size_px is {tube.min_size_px}")
        box = enlarge((left, top, right, bottom), tube.increase, tube.enlarge)
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
        if not inside and tube.outside == "reject":
            raise ClipError("out_of_frame", f"enlarged box {box} leaves the {width:.0f}x{height} frame")
        if per_stored != 1:
            box = round(box[0] / per_stored), box[1], round(box[2] / per_stored), box[3]
        return clip_to_frame(box, frame_wh)


@dataclass(frozen=True)
class WholeFrame:
    """A video that was cropped before: the box is the frame."""

    def place(self, frame_wh: tuple[int, int], tube: TubeParams, pixel_aspect: float = 1.0) -> PixelBox:
        """Return the frame's own borders."""
        return (0, 0, *frame_wh)


BoxRule = ListedBox | TubeBox | WholeFrame
