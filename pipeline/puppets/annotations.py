"""VoxCeleb's annotation files, written as the official ones are."""

from collections.abc import Iterable

import numpy as np

VOXCELEB1_HEIGHT = 360  # px; VoxCeleb1's boxes are pixels of a frame of this height, VoxCeleb2's are fractions


def annotation_text(
    kind: str, person: str, video: str, frames: Iterable[int], boxes: np.ndarray, size_hw: tuple[int, int]
) -> str:
    """Write the boxes of one utterance.

    Convention: five header lines, an empty line, a tab-separated table whose columns end in a blank; integer pixels
    of a 360-high frame ("voxceleb1") or fractions of width and height with three digits ("voxceleb2").

    Args:
        kind: "voxceleb1" or "voxceleb2".
        person: such as "id10001".
        video: the video's id.
        frames: (T,) frame numbers at 25 per second.
        boxes: (T, 4) left, top, right, bottom in the video frame's ndc.
        size_hw: height and width of the video.

    Raises:
        ValueError: an unknown kind.
    """
    share = (np.asarray(boxes, np.float64) + 1) / 2  # of the frame
    box = np.concatenate([share[:, :2], share[:, 2:] - share[:, :2]], 1)
    if kind == "voxceleb1":
        width = VOXCELEB1_HEIGHT * size_hw[1] / size_hw[0]
        box = np.round(box * np.array([width, VOXCELEB1_HEIGHT] * 2)).astype(int)
        rows = [[str(value) for value in row] for row in box]
    elif kind == "voxceleb2":
        rows = [[f"{value:.3f}" for value in row] for row in box]
    else:
        raise ValueError(f"unknown annotation {kind!r}, expected voxceleb1 or voxceleb2")
    header = [
        f"Identity  : \t{person}",
        f"Reference : \t{video}",
        "Offset    : \t0",
        "FV Conf   : \t20.000\t(1)",
        "ASD Conf  : \t5.000",
        "",
        "FRAME \tX \tY \tW \tH ",
    ]
    table = [" \t".join([f"{frame:06d}", *row]) + " " for frame, row in zip(frames, rows, strict=True)]
    return "\n".join(header + table) + "\n"
