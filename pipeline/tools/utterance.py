"""Detect faces on the frames of one annotation file, and keep what was found until the table is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from pipeline.sources.boxes import REFERENCE_HEIGHT_PX, Box, iou
from pipeline.sources.detections import DETECTIONS
from pipeline.sources.request import REFERENCE_FPS
from pipeline.sources.voxceleb_txt import Unit, read_track
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_file, sha256_text
from pipeline.store.schema import write_table
from pipeline.store.scratch_root import scratch_dir
from pipeline.tools.face_detector import FaceDetector
from pipeline.video.decode import VideoInfo, decode, fingerprint
from pipeline.work.ledger import ClipError
from pipeline.work.scratch import piece_path

Open = Callable[[Path], FaceDetector]


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
        """A file whose name changes with the annotation and the video; forgetting person or video removes it."""
        made_of = sha256_text(self.key, self.unit, sha256_file(self.annotation), fingerprint(self.video))
        person, video, _ = self.key
        return piece_path(self.scratch, person, video, made_of[:32], ".parquet")


def detection_store(weights_sha256: str) -> Path:
    """Scratch folder of finished detections, one file an utterance, keyed by weights and code."""
    return scratch_dir("detect", sha256_text(weights_sha256, code_sha256("pipeline.tools.utterance")))


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
    annotated = [cast(Box, tuple(v * s for v, s in zip(box, scale * 2, strict=True))) for box in boxes]
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
