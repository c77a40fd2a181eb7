"""A plain folder of videos, and a table of landmarks that says where in them which face is.

Choice: a face's box spans its landmarks, and reaches above them by `forehead` times their height, because
the 68 points end at the brows and a face detector's box does not. From there on FOMM's tube rules apply.
"""

from itertools import groupby
from pathlib import Path

import numpy as np

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import Box, TubeBox, follow
from pipeline.sources.people import PersonSplit
from pipeline.sources.request import ClipList, ClipRequest, SourceError, clip_name
from pipeline.sources.video_files import VideoFiles
from pipeline.work.ledger import ClipError, LedgerRow


def list_landmarked(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List the tubes of every face in the table, in frames of the videos' own rates.

    A frame without finite landmarks, or without a row, ends a tube. `tube.min_frames` and `max_frames`
    count frames of the file.

    Raises:
        SourceError: the table cannot be read, or has two rows for one frame.
    """
    faces = read_faces(folder / (source.annotations or ""), source.forehead or 0.0)
    split_of = PersonSplit(source, folder)
    videos = VideoFiles(folder / source.videos)
    clips = ClipList()
    for (person, video), (frames, boxes) in sorted(faces.items()):
        try:
            split = split_of(person)
            if not frames:
                raise ClipError("bad_annotation", f"{source.annotations}: no frame of {video} has finite landmarks")
        except ClipError as error:
            row = LedgerRow(source.name, "test", f"{person}#{video}", person, video, error.reason, error.message)
            clips.unreadable.append(row)
            continue
        file, note = videos.find(video, person)
        for first, end, box in tubes(frames, boxes, tube):
            clips.requests.append(
                ClipRequest(
                    clip=clip_name(person, video, first, end),
                    dataset=source.name,
                    split=split,
                    person=person,
                    video=video,
                    start=first,
                    end=end,
                    box=TubeBox(box, "px"),
                    path=file,
                    min_frames=tube.min_frames,
                    reference_fps=None,
                    note=note,
                )
            )
    return clips


def read_faces(path: Path, forehead: float) -> dict[tuple[str, str], tuple[list[int], list[Box]]]:
    """Read a landmark table: frames in order and their face boxes in source px, by person and video.

    Convention: the table's landmarks are pixel centres at integers; boxes lie on pixel edges.

    Raises:
        SourceError: it is no table of landmarks, or a frame has two rows.
    """
    from pipeline.store.landmark_table import LandmarkTable

    try:
        table = LandmarkTable(path)
    except (OSError, ValueError) as error:
        raise SourceError(str(error)) from error
    faces: dict[tuple[str, str], tuple[list[int], list[Box]]] = {}
    for (person, video), rows in groupby(sorted(table.frames()), key=lambda row: row[:2]):
        numbers = [frame for _, _, frame in rows]
        seen = table.look(person, video, numbers)
        usable = seen.found & (np.array(numbers) >= 0)
        points = seen.landmarks_px[usable]
        low, high = points.min(1), points.max(1)
        low[:, 1] -= forehead * (high[:, 1] - low[:, 1])
        boxes = [(float(a), float(b), float(c), float(d)) for a, b, c, d in np.concatenate([low, high], 1)]
        faces[person, video] = [n for n, ok in zip(numbers, usable, strict=True) if ok], boxes
    return faces


def tubes(frames: list[int], boxes: list[Box], tube: TubeParams) -> list[tuple[int, int, Box]]:
    """First frame, end and union box of every tube: runs of consecutive frames, cut by FOMM's rules."""
    cuts = [0, *(i for i in range(1, len(frames)) if frames[i] != frames[i - 1] + 1), len(frames)]
    found = []
    for begin, stop in zip(cuts, cuts[1:], strict=False):
        for piece in follow(boxes[begin:stop], tube.iou_with_first, tube.max_frames):
            found.append((frames[begin] + piece.first, frames[begin] + piece.end, piece.box))
    return found
