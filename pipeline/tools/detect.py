"""Detect faces on every annotated frame of a VoxCeleb tree, for tubes that are cut as FOMM's tool cuts them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.console import say, track
from pipeline.params.data import SourceParams
from pipeline.sources.boxes import REFERENCE_HEIGHT_PX, Box, iou
from pipeline.sources.detections import DETECTIONS
from pipeline.sources.request import REFERENCE_FPS, SourceError
from pipeline.sources.video_files import VideoFiles
from pipeline.sources.voxceleb_txt import UNITS, Unit, read_track
from pipeline.store.provenance import scratch_dir, sha256_file, sha256_text
from pipeline.store.schema import read_table, write_table
from pipeline.tools.face_detector import FaceDetector, open_s3fd
from pipeline.video.decode import VideoInfo, decode, fingerprint
from pipeline.work.dask_run import run
from pipeline.work.ledger import ClipError

Open = Callable[[Path], FaceDetector]

# Changes whenever an equal video gives other detections; a part of every finished utterance's name.
CODE_VERSION = "detect-2"


@dataclass(frozen=True)
class Utterance:
    """One annotation file, its video, and where its detections are kept once they are made."""

    annotation: Path
    video: Path
    unit: Unit
    weights: Path
    open: Open
    scratch: Path

    @property
    def key(self) -> tuple[str, str, str]:
        """Person, video and utterance."""
        return self.annotation.parts[-3], self.annotation.parts[-2], self.annotation.stem

    def file(self) -> Path:
        """A file whose name changes with the annotation and the video."""
        made_of = sha256_text(CODE_VERSION, self.key, self.unit, sha256_file(self.annotation), fingerprint(self.video))
        return self.scratch / f"{made_of[:32]}.parquet"


def detect_all(
    source: SourceParams, root: Path, weights: Path, *, workers: int, timeout_s: float, open_detector: Open = open_s3fd
) -> int:
    """Write the table `source.detections` of the utterances whose videos are there; returns how many could be read.

    Utterances that were finished before are not looked at again. Those without a video are left out (crop's ledger
    counts them), and those that fail are said.

    Raises:
        SourceError: the source names no table, or there is no annotation.
    """
    if source.detections is None:
        raise SourceError(f"{source.name}: set its parameter `detections`, such as detections.parquet")
    folder, sha256 = root / source.folder, sha256_file(weights)
    scratch = scratch_dir("detect", sha256)
    videos = VideoFiles(folder / source.videos)
    utterances = []
    for path in sorted((folder / (source.annotations or "")).glob("*/*/*.txt")):
        video, _ = videos.find(path.parts[-2], path.parts[-3])
        if video.exists():
            utterances.append(Utterance(path, video, UNITS[source.kind], weights, open_detector, scratch))
    if not utterances:
        raise SourceError(f"{source.name}: no annotation below {folder} has a video in {source.videos}")
    todo = [utterance for utterance in utterances if not utterance.file().exists()]
    outcomes = run(detect_utterance, todo, workers=workers, scheduler=None, timeout_s=timeout_s)
    for outcome in track(outcomes, "detect", len(todo)):
        if error := outcome.value or outcome.error:
            say(f"detect: {'/'.join(todo[outcome.index].key)}: {error}")
    made = [read_table(utterance.file()) for utterance in utterances if utterance.file().exists()]
    table = pa.concat_tables(made).replace_schema_metadata(None) if made else DETECTIONS.empty_table()
    write_table(folder / source.detections, table, {"weights_sha256": sha256, "detector": "s3fd"})
    return len(made)


def detect_utterance(utterance: Utterance) -> str:
    """Detect on one utterance's frames and keep the result; returns what was wrong, "" if nothing."""
    detector = utterance.open(utterance.weights)
    try:
        first, boxes = read_track(utterance.annotation, utterance.unit)
        numbers: list[int] = []

        def plan(info: VideoInfo) -> tuple[list[int], FaceDetector]:
            numbers.extend(frames_shown(first, len(boxes), info))
            return sorted(set(numbers)), detector

        decoded = decode(utterance.video, plan)
    except ClipError as error:
        return str(error)
    found = dict(zip(decoded.numbers, decoded.frames, strict=True))
    width, height = decoded.info.width, decoded.info.height
    per_360th = height / REFERENCE_HEIGHT_PX
    scale = (width, height) if utterance.unit == "fraction" else (per_360th / decoded.info.pixel_aspect, per_360th)
    annotated = [tuple(v * s for v, s in zip(box, scale * 2, strict=True)) for box in boxes]
    kept = [nearest(found[number], box) for number, box in zip(numbers, annotated, strict=False)]
    person, video, name = utterance.key
    rows = [(person, video, name, first + i, *box) for i, box in enumerate(kept)]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), DETECTIONS, strict=True)]
    write_table(utterance.file(), pa.table(columns, schema=DETECTIONS))
    return ""


def frames_shown(first: int, count: int, info: VideoInfo) -> list[int]:
    """Numbers of the video's frames on screen at reference frames first, first + 1, ...; fewer where it ends.

    Raises:
        ClipError: `no_frames`, the video is over before the first.
    """
    times_s = np.arange(info.num_frames) / info.fps if info.times_s is None else info.times_s
    asked_s = (first + np.arange(count)) / REFERENCE_FPS
    asked_s = asked_s[asked_s < times_s[-1] + 1 / info.fps]
    if not len(asked_s):
        raise ClipError("no_frames", f"the video is over before reference frame {first}")
    return (np.searchsorted(times_s, asked_s + 1e-6, side="right") - 1).clip(min=0).tolist()


def nearest(detections: np.ndarray, annotated: Box) -> Box:
    """The detection that overlaps the annotated box most, cut at 0; zeros where there is none."""
    if not len(detections):
        return 0.0, 0.0, 0.0, 0.0
    overlaps = [iou(tuple(box), annotated) for box in detections.tolist()]
    left, top, right, bottom = np.maximum(detections[int(np.argmax(overlaps))], 0).tolist()
    return left, top, right, bottom
