"""FOMM's crop table (vox-metadata.csv): one row a clip, with one fixed box that need not be square."""

import csv
from pathlib import Path

from pipeline.boxes import ListedBox
from pipeline.data_params import SourceParams, TubeParams
from pipeline.ledger import ClipError, LedgerRow
from pipeline.sources.request import VOXCELEB1_TEST_PEOPLE, ClipList, ClipRequest, SourceError, clip_name

COLUMNS = ["video_id", "start", "end", "bbox", "fps", "width", "height", "partition", "person_id"]


def list_rows(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List the table's clips. The tube rules do not apply: the table is their result.

    Reference rate and size are those of a video's first row, as in load_videos.py. A person with a
    test row is a test person throughout, and a repeated clip counts once: the published table repeats
    308 rows, and lists three clips of two test people for training as well.

    Raises:
        SourceError: the header is not FOMM's.
    """
    path = folder / source.annotations
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise SourceError(f"{path}:1: expected header {','.join(COLUMNS)}, found {reader.fieldnames}")
        rows = [(reader.line_num, row) for row in reader]
    tested = {row["person_id"] for _, row in rows if row["partition"] == "test"}
    clips = ClipList()
    seen: dict[str, ClipRequest] = {}
    reference: dict[str, tuple[float, int, int]] = {}
    for line, row in rows:
        person, video = row["person_id"] or "?", row["video_id"] or "?"
        split = _split(source, row["partition"], person, tested)
        try:
            request = _read_row(row, f"{path}:{line}", source, split, folder, reference)
            if seen.setdefault(request.clip, request) != request:
                raise ClipError("bad_annotation", f"{path}:{line}: {request.clip} was listed before with another box")
        except ClipError as error:
            name = f"{person}#{video}#line{line}"
            clips.unreadable.append(LedgerRow(source.name, split, name, person, video, error.reason, error.message))
    clips.requests.extend(seen.values())
    return clips


def _read_row(
    row: dict[str, str],
    where: str,
    source: SourceParams,
    split: str,
    folder: Path,
    reference: dict[str, tuple[float, int, int]],
) -> ClipRequest:
    try:
        video, person = row["video_id"], row["person_id"]
        start, end = int(row["start"]), int(row["end"])
        left, top, right, bottom = (int(v) for v in row["bbox"].split("-"))
        listed = float(row["fps"]), int(row["width"]), int(row["height"])
    except (ValueError, AttributeError, TypeError) as error:
        raise ClipError("bad_annotation", f"{where}: {error}: {list(row.values())}") from error
    fps, width, height = reference.setdefault(video, listed)
    valid = 0 <= start < end and left < right and top < bottom and min(fps, width, height) > 0
    if not (valid and video and person and row["partition"] in ("train", "test")):
        raise ClipError("bad_annotation", f"{where}: empty range, empty box or unknown partition: {list(row.values())}")
    return ClipRequest(
        clip=clip_name(person, video, start, end),
        dataset=source.name,
        split=split,
        person=person,
        video=video,
        start=start,
        end=end,
        box=ListedBox((left, top, right, bottom), (width, height)),
        path=folder / source.videos / f"{video}.mp4",
        min_frames=1,
        reference_fps=fps,
    )


def _split(source: SourceParams, partition: str | None, person: str, tested: set[str]) -> str:
    if source.split == "official":
        return "test" if person in VOXCELEB1_TEST_PEOPLE else "train"
    return "train" if source.split == "listed" and partition == "train" and person not in tested else "test"
