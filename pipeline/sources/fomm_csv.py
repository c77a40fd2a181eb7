"""FOMM's crop table (vox-metadata.csv): one row a clip, with one fixed box that need not be square."""

import csv
import math
from pathlib import Path

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import ListedBox
from pipeline.sources.people import official_split
from pipeline.sources.request import LARGEST_FRAME, ClipList, ClipRequest, SourceError, clip_name
from pipeline.sources.video_files import VideoFiles
from pipeline.work.ledger import ClipError, LedgerRow

COLUMNS = ["video_id", "start", "end", "bbox", "fps", "width", "height", "partition", "person_id"]

Row = dict[str, str]


def list_rows(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List the table's clips. The tube rules do not apply: the table is their result.

    Reference rate and size are those of a video's first row, as in load_videos.py. A person with a
    test row is a test person throughout. Every row is accounted for: one that repeats an earlier clip
    (the published table has 311; three are clips of two test people, listed for training as well) gives no
    second clip but a ledger row `repeated`, or `missing_source` where there is nothing to repeat.

    Raises:
        SourceError: the file is no csv, or its header is not FOMM's.
    """
    path = folder / (source.annotations or "")
    rows = _read(path)
    videos = VideoFiles(folder / source.videos)
    tested = {row["person_id"] for _, row in rows if row["partition"] == "test"}
    clips = ClipList()
    seen: dict[str, tuple[int, ClipRequest]] = {}
    reference: dict[str, tuple[float, int, int]] = {}
    for line, row in rows:
        person, video = row["person_id"] or "?", row["video_id"] or "?"
        split = "test"
        try:
            split = _split(source, row["partition"], person, tested)
            request = _read_row(row, f"{path}:{line}", source, split, videos, reference)
            first, known = seen.setdefault(request.clip, (line, request))
            if known != request:
                raise ClipError("bad_annotation", f"{path}:{line}: {request.clip} was listed before with another box")
            if first != line:
                reason = "repeated" if videos.holds(video) else "missing_source"
                raise ClipError(reason, f"{path}:{line} repeats line {first}")
        except ClipError as error:
            name = f"{person}#{video}#line{line}"
            clips.unreadable.append(LedgerRow(source.name, split, name, person, video, error.reason, error.message))
    clips.requests.extend(request for _, request in seen.values())
    return clips


def _read(path: Path) -> list[tuple[int, Row]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise SourceError(f"{path}:1: expected header {','.join(COLUMNS)}, found {reader.fieldnames}")
            return [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path} is no readable csv: {error}") from error


def _read_row(
    row: Row,
    where: str,
    source: SourceParams,
    split: str,
    videos: VideoFiles,
    reference: dict[str, tuple[float, int, int]],
) -> ClipRequest:
    found = list(row.values())
    if None in row:
        raise ClipError("bad_annotation", f"{where}: more than {len(COLUMNS)} columns: {found}")
    try:
        video, person = row["video_id"], row["person_id"]
        start, end = int(row["start"]), int(row["end"])
        left, top, right, bottom = (int(v) for v in row["bbox"].split("-"))
        listed = float(row["fps"]), int(row["width"]), int(row["height"])
    except (ValueError, AttributeError, TypeError) as error:
        raise ClipError("bad_annotation", f"{where}: {error}: {found}") from error
    fps, width, height = reference.setdefault(video, listed)
    valid = 0 <= start < end <= LARGEST_FRAME and left < right <= LARGEST_FRAME and top < bottom <= LARGEST_FRAME
    if not (valid and math.isfinite(fps) and min(fps, width, height) > 0):
        raise ClipError("bad_annotation", f"{where}: empty range, box, frame or rate: {found}")
    if not (video and person and row["partition"] in ("train", "test")):
        raise ClipError("bad_annotation", f"{where}: no video, no person or unknown partition: {found}")
    file, note = videos.find(video, person)
    return ClipRequest(
        clip=clip_name(person, video, start, end),
        dataset=source.name,
        split=split,
        person=person,
        video=video,
        start=start,
        end=end,
        box=ListedBox((left, top, right, bottom), (width, height)),
        path=file,
        min_frames=1,
        reference_fps=fps,
        note=note,
    )


def _split(source: SourceParams, partition: str | None, person: str, tested: set[str]) -> str:
    if source.split == "official":
        return official_split(person)
    return "train" if source.split == "listed" and partition == "train" and person not in tested else "test"
