"""Tables of detected faces: for every annotated frame, the detection that overlaps the annotation most.

Source: crop_vox.py of video-preprocessing. Where nothing is found a box is all zeros, as there: it overlaps no face,
so it ends a tube.
"""

from itertools import groupby
from pathlib import Path

import pyarrow as pa

from pipeline.sources.boxes import Box
from pipeline.sources.request import SourceError
from pipeline.store.schema import read_table

SIDES = ("left", "top", "right", "bottom")

# One row an annotated frame, at 25 frames a second; boxes in px of the source video.
DETECTIONS = pa.schema(
    [("person", pa.string()), ("video", pa.string()), ("utterance", pa.string()), ("frame", pa.int32())]
    + [(side, pa.float32()) for side in SIDES]
)


def read_detections(path: Path) -> dict[tuple[str, str, str], tuple[int, list[Box]]]:
    """Read a table: first frame and one box a frame, by person, video and utterance.

    Raises:
        SourceError: it is no such table, has no rows, or lacks a frame within an utterance.
    """
    try:
        table = read_table(path, DETECTIONS)
    except (OSError, ValueError) as error:
        raise SourceError(f"{error}; `pwm data detect` writes it") from error
    rows = sorted(zip(*(table.column(name).to_pylist() for name in DETECTIONS.names), strict=True))
    if not rows:
        raise SourceError(f"{path} has no rows: run `pwm data detect`")
    tracks = {}
    for key, group in groupby(rows, key=lambda row: row[:3]):
        frames = list(group)
        numbers = [row[3] for row in frames]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise SourceError(f"{path}: the frames of {'/'.join(key)} do not follow one another: run `pwm data detect`")
        tracks[key] = numbers[0], [row[4:] for row in frames]
    return tracks
