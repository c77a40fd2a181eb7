"""VoxCeleb's annotation trees: txt/<person>/<video>/<utterance>.txt beside untrimmed videos.

Choice: the published cropper runs a face detector again and keeps the detection that overlaps the
annotation most. Without a table of such detections (`pwm data detect`) the annotation's own boxes are the
track, so that the clip list follows from the annotations alone. Their overlaps are measured in the 360-high reference
frame (VoxCeleb2's fractions: of a 640x360 one).
"""

from pathlib import Path
from typing import Literal, cast

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import Box, TubeBox, follow
from pipeline.sources.detections import read_detections
from pipeline.sources.people import PersonSplit
from pipeline.sources.request import LARGEST_FRAME, ClipList, ClipRequest, clip_name
from pipeline.sources.video_files import VideoFiles
from pipeline.work.foreign_files import files_at_depth
from pipeline.work.ledger import ClipError, LedgerRow

Unit = Literal["height360", "fraction"]

UNITS: dict[str, Unit] = {"voxceleb1": "height360", "voxceleb2": "fraction"}  # of the kinds' annotations

COLUMNS = ["FRAME", "X", "Y", "W", "H"]
HEADER_LINE = 7  # five lines of facts, an empty one, then the table's header
LARGEST_FRACTION = 2.0  # a box of fractions may stick out of the frame, but not by this much


def list_tree(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List the tubes of a tree's annotations, or of the faces detected on their frames (`source.detections`).

    Raises:
        SourceError: the table of detections cannot be read.
    """
    unit = UNITS[source.kind]
    detected = read_detections(folder / source.detections) if source.detections else None
    split_of = PersonSplit(source, folder)
    videos = VideoFiles(folder / source.videos)
    clips = ClipList()
    for path in files_at_depth(folder / (source.annotations or ""), 2, [".txt"]):
        person, video, utterance = path.parts[-3], path.parts[-2], path.stem
        file, note = videos.find(video, person)
        split = "test"
        try:
            split = split_of(person)
            first_frame, track = read_track(path, unit)
            if detected is not None:
                if (person, video, utterance) not in detected:
                    reason = "no_detections" if videos.holds(video) else "missing_source"
                    raise ClipError(reason, f"{source.detections} has no rows for {path}; the video: {file}")
                first_frame, track = detected[person, video, utterance]
        except ClipError as error:
            name = f"{person}#{video}#{utterance}"
            clips.unreadable.append(LedgerRow(source.name, split, name, person, video, error.reason, error.message))
            continue
        scale = (640.0, 360.0) if unit == "fraction" and detected is None else (1.0, 1.0)
        reference = [cast(Box, tuple(v * s for v, s in zip(box, scale * 2, strict=True))) for box in track]
        for piece in follow(reference, tube.iou_with_first, tube.max_frames):
            start, end = first_frame + piece.first, first_frame + piece.end
            box = cast(Box, tuple(v / s for v, s in zip(piece.box, scale * 2, strict=True)))
            clips.requests.append(
                ClipRequest(
                    clip=clip_name(person, video, start, end),
                    dataset=source.name,
                    split=split,
                    person=person,
                    video=video,
                    start=start,
                    end=end,
                    box=TubeBox(box, unit if detected is None else "px"),
                    path=file,
                    min_frames=tube.min_frames,
                    note=note,
                )
            )
    return clips


def read_track(path: Path, unit: Unit) -> tuple[int, list[Box]]:
    """Read one utterance: its first frame (25 fps) and one (left, top, right, bottom) box a frame.

    Raises:
        ClipError: `bad_annotation` with file and line, for a wrong header, a bad number, a frame that
            does not follow the one before it, or boxes in the other format's unit.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ClipError("bad_annotation", f"{path}: {error}") from error
    found = [name.strip() for name in lines[HEADER_LINE - 1].split("\t")] if len(lines) >= HEADER_LINE else []
    if [name for name in found if name] != COLUMNS:
        raise ClipError("bad_annotation", f"{path}:{HEADER_LINE}: expected header {' '.join(COLUMNS)}, found {found}")
    frames: list[int] = []
    track: list[Box] = []
    for number, line in enumerate(lines[HEADER_LINE:], HEADER_LINE + 1):
        if line.strip():
            frame, box = _read_line(line, f"{path}:{number}", unit)
            if frames and frame != frames[-1] + 1:
                raise ClipError("bad_annotation", f"{path}:{number}: frame {frame} follows frame {frames[-1]}")
            frames.append(frame)
            track.append(box)
    if not track:
        raise ClipError("bad_annotation", f"{path}: the table has no rows")
    return frames[0], track


def _read_line(line: str, where: str, unit: Unit) -> tuple[int, Box]:
    try:
        frame_text, *numbers = line.split()
        frame = int(frame_text)
        left, top, width, height = (float(v) if unit == "fraction" else float(int(v)) for v in numbers)
    except (ValueError, OverflowError) as error:
        kind = "four fractions" if unit == "fraction" else "four integers"
        raise ClipError("bad_annotation", f"{where}: expected a frame number and {kind}, found {line!r}") from error
    if not (0 <= frame < LARGEST_FRAME and width > 0 and height > 0):
        raise ClipError("bad_annotation", f"{where}: impossible frame number or empty box: {line!r}")
    if unit == "fraction" and not all(abs(v) <= LARGEST_FRACTION for v in (left, top, width, height)):
        raise ClipError("bad_annotation", f"{where}: not fractions of the frame (VoxCeleb1's pixels?): {line!r}")
    return frame, (left, top, left + width, top + height)
