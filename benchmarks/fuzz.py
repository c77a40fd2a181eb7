"""Damaged videos and annotations, made from whole ones by a seed: what crop must survive and account for.

`make_cases` writes three data sets below a folder (an annotation tree, FOMM's csv, a released mp4 tree) in
which every video or annotation has one fault, and says for each what a whole one would have given;
`survive` crops them and checks that all is accounted for.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.faults import ANNOTATION_FAULTS, FPS, VIDEO_FAULTS, read_number, synthetic_video
from pipeline.cropping.pack import crop_all
from pipeline.params.data import CropParams, SourceParams, TubeParams
from pipeline.sources.fomm_csv import COLUMNS
from pipeline.sources.listing import list_source
from pipeline.sources.request import ClipList
from pipeline.store.clips import ClipStore
from pipeline.store.schema import read_table
from pipeline.work.ledger import TooManyFailures

START, END = 15, 36  # the annotated range, at 25 fps: it begins behind the second key frame of the videos made here
BOX = (100, 80, 120, 140)  # X Y W H in a 360-high frame
KINDS = ("tree", "csv", "release")
# Faults that leave pictures whole: what is shown of them must be what the index names.
WHOLE_PICTURES = {
    "whole",
    "cut",
    "garbage appended",
    "too many frames",
    "wrong rate",
    "wrong rate of frames",
    "huge size",
}
X264 = "threads=1:cpu-independent=1"  # else x264's macroblock tree gives other bytes now and then (AVX-512)
OPEN = "open-gop=1:scenecut=0:bframes=3:min-keyint=12"
X265 = "log-level=none:pools=none:frame-threads=1:keyint=12:min-keyint=12"
# Videos whose frames a decoder easily takes for others: name, encoder, its options.
AWKWARD = (
    ("f.mp4", "libx264", {"preset": "veryfast", "x264-params": f"{X264}:{OPEN}"}),
    ("g.mp4", "libx264", {"preset": "veryfast", "x264-params": f"{X264}:intra-refresh=1"}),
    ("h.mkv", "libx265", {"preset": "ultrafast", "x265-params": X265}),
    ("i.avi", "mpeg4", {"bf": "2"}),
    ("j.ts", "mpeg2video", {"bf": "2"}),
)
FUZZ_CROP = CropParams(
    size_px=64,
    resize="triangle_antialias",
    jpeg_quality=95,
    shard_mb=64,
    tube=TubeParams(
        iou_with_first=0.25,
        min_frames=4,
        max_frames=1024,
        min_size_px=40,
        increase=0.1,
        enlarge="square",
        outside="reject",
        pixels="stored",
    ),
    max_fail_rate=1.0,
    max_missing_rate=1.0,
)


@dataclass(frozen=True)
class Original:
    """A whole video: what it holds in the annotated range, and as a whole; whether its frames show their numbers."""

    data: bytes
    size_hw: tuple[int, int]
    frames_in_range: int
    num_frames: int
    numbered: bool


@dataclass(frozen=True)
class Case:
    """One faulty file or annotation.

    `frames` is what a whole file gives; None where the fault asks for others. `numbered` where each frame of a clip
    that is made shows its number.
    """

    video: str
    kind: str
    fault: str
    frames: int | None
    numbered: bool


def originals(folder: Path, real: Sequence[Path]) -> list[Original]:
    """Whole videos: closed and open groups, some with B-frames, refreshed bit by bit, turned, and the real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        synthetic_video(folder / "a.mp4", "libx264", 25),
        synthetic_video(folder / "b.mp4", "libx264", 30),
        synthetic_video(folder / "c.mkv", "mpeg4", 25),
        synthetic_video(folder / "d.webm", "libvpx", 25),
        synthetic_video(folder / "e.mp4", "libx264", 25, rotation=90),
        *(synthetic_video(folder / name, codec, 25, more=more) for name, codec, more in AWKWARD),
    ]
    found = []
    for path in [*made, *real]:
        with av.open(str(path)) as container:
            frames = list(container.decode(container.streams.video[0]))
            rate = container.streams.video[0].average_rate
        assert rate is not None, path
        turned = frames[0].rotation % 180
        size_hw = (frames[0].width, frames[0].height) if turned else (frames[0].height, frames[0].width)
        kept = sum(START * rate <= i * FPS < END * rate for i in range(len(frames)))
        numbered = path in made and not turned
        found.append(Original(path.read_bytes(), size_hw, kept, len(frames), numbered))
    return found


def make_cases(folder: Path, count: int, seed: int, real: Sequence[Path] = ()) -> list[Case]:
    """Write `count` cases below `folder`, and the sources' people and videos with them.

    Args:
        folder: empty; gets `tree`, `csv` and `release`.
        count: number of cases; faults are dealt in turn, their places drawn.
        seed: equal seeds give equal bytes.
        real: real videos to damage as well.
    """
    whole = originals(folder / "originals", real)
    faults = list(VIDEO_FAULTS) + [f"annotation: {name}" for name in ANNOTATION_FAULTS]
    rows, cases = [], []
    for i in range(count):
        rng = random.Random(f"{seed}/{i}")
        original = whole[rng.randrange(len(whole))]
        fault, kind = faults[i % len(faults)], KINDS[i // len(faults) % len(KINDS)]
        about_files = fault in VIDEO_FAULTS
        if not about_files and kind == "release":
            kind = "tree"  # a released utterance has no annotation
        video = f"fuzz{i:04d}"
        data = VIDEO_FAULTS[fault](original.data, rng) if about_files else original.data
        frames = original.num_frames if kind == "release" else original.frames_in_range
        numbered = original.numbered and fault in WHOLE_PICTURES
        cases.append(Case(video, kind, fault, frames if about_files and "rate" not in fault else None, numbered))
        damage = None if about_files else ANNOTATION_FAULTS[fault.removeprefix("annotation: ")]
        if kind == "release":
            _write(folder / kind / "mp4" / "id00017" / video / "00001.mp4", data)
            continue
        _write(folder / kind / "videos" / f"{video}.mp4", data)
        if kind == "tree":
            _write(folder / kind / "txt" / "id10270" / video / "00001.txt", _track_text(damage, rng))
        else:
            rows.append(_csv_row(video, original, damage, rng))
    if rows:
        _write(folder / "csv" / "boxes.csv", "\n".join([",".join(COLUMNS), *rows, ""]).encode())
    return cases


def sources(cases: Sequence[Case]) -> list[SourceParams]:
    """Parameters of the data sets that have cases."""
    forms: dict[str, dict[str, str | None]] = {
        "tree": {"kind": "voxceleb1", "annotations": "txt", "videos": "videos"},
        "csv": {"kind": "fomm_csv", "annotations": "boxes.csv", "videos": "videos"},
        "release": {"kind": "vox2_release", "annotations": None, "videos": "mp4"},
    }
    held = [kind for kind in KINDS if any(case.kind == kind for case in cases)]
    return [
        SourceParams.model_validate({"name": k, "folder": k, "watch": k, "split": "test", **forms[k]}) for k in held
    ]


@dataclass(frozen=True)
class Survived:
    """What became of the cases: ledger rows by fault and reason, and whatever went wrong."""

    reasons: Counter[tuple[str, str]]
    unaccounted: list[str]
    lost_frames: list[str]
    wrong_frames: list[str]
    crashed: list[str]


def survive(folder: Path, cases: Sequence[Case], *, workers: int, clip_timeout_s: float) -> Survived:
    """Crop the cases below `folder` as the stage does.

    Unaccounted: a case without a ledger row. Lost frames: a clip with fewer frames than the whole video
    gives, and no word about it in the ledger, or frames that the index counts and the store lacks.
    Wrong frames: a clip whose pictures show other numbers than the index names. Crashed: a clip that ended in
    an error nobody had thought of.
    """
    listed = [list_source(source, folder, FUZZ_CROP.tube, source.name) for source in sources(cases)]
    clips = ClipList(
        sum((one.requests for one in listed), []),
        sum((one.unreadable for one in listed), []),
        sum((one.sources for one in listed), []),
    )
    out = folder / "clips"
    try:
        crop_all(
            clips, out, FUZZ_CROP, folder / "scratch", workers=workers, scheduler=None, clip_timeout_s=clip_timeout_s
        )
    except TooManyFailures as error:
        raise AssertionError(f"not even the whole videos were cropped: {error}") from error
    rows = read_table(out / "eval" / "ledger.parquet").to_pylist()
    store = ClipStore(out / "eval")
    entries = {row["clip"]: row for row in store.index.to_pylist()}
    case_of = {case.video: case for case in cases}
    reasons: Counter[tuple[str, str]] = Counter()
    seen, lost, wrong, crashed = set(), [], [], []
    for row in rows:
        case = case_of.get(row["video"].split("/")[0])
        seen.add(case.video if case else row["clip"])
        reasons[case.fault if case else "annotation: text cut", row["reason"]] += 1
        if row["reason"] == "crashed":
            crashed.append(f"{row['clip']}: {row['detail']}")
        if row["status"] != "ok":
            continue
        if len(store.images(row["clip"])) != entries[row["clip"]]["num_frames"]:
            lost.append(f"{row['clip']}: the store lacks frames")
        if case and case.frames is not None and entries[row["clip"]]["num_frames"] < case.frames and not row["detail"]:
            lost.append(f"{row['clip']} ({case.fault}): {entries[row['clip']]['num_frames']} of {case.frames} frames")
        if case and case.numbered:
            entry = entries[row["clip"]]
            shown = [read_number(frame, entry["crop_map"]) for frame in store.frames(row["clip"])]
            if shown != entry["frame_index"]:
                wrong.append(f"{row['clip']} ({case.fault}): shows {shown}, the index names {entry['frame_index']}")
    return Survived(reasons, sorted(set(case_of) - seen), lost, wrong, crashed)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _track_text(damage: Callable | None, rng: random.Random) -> bytes:
    head = ["Identity  : \tid10270", "Reference : \tv", "Offset    : \t0", "FV Conf   : \t9", "ASD Conf  : \t5", ""]
    found = damage(BOX, rng) if damage else BOX
    box = BOX if isinstance(found, str) else found
    bad_line = rng.randrange(START, END)
    lines = []
    for frame in range(START, END):
        shown = box if frame >= bad_line else BOX
        number = START if found == "repeated" else frame
        lines.append(f"{number:06d} \t" + " \t".join(map(str, shown)) + " ")
    text = "\n".join([*head, "FRAME \tX \tY \tW \tH ", *lines, ""]).encode()
    if found == "cut":
        return text[: rng.randrange(len(text))]
    return {"empty": b"", "binary": rng.randbytes(300)}.get(found if isinstance(found, str) else "", text)


def _csv_row(video: str, original: Original, damage: Callable | None, rng: random.Random) -> str:
    height, width = original.size_hw
    box: tuple = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    found = damage(box, rng) if damage else box
    end = START - 1 if found == "repeated" else END
    row = [video, START, end, "-".join(map(str, box if isinstance(found, str) else found)), FPS, width, height]
    if damage and not isinstance(found, str) and rng.random() < 0.3:
        row[4:7] = rng.choice(([0, width, height], ["nan", width, height], [FPS, 0, -3], ["inf", width, height]))
    text = ",".join(map(str, [*row, "test", "id10270"]))
    if found == "cut":
        return text[: rng.randrange(len(video) + 1, len(text) - 8)]
    return {"empty": video, "binary": f"{video},\x01\x02,;"}.get(found if isinstance(found, str) else "", text)
