"""One clip: its frames decoded, cropped by one fixed box, resized, encoded, and kept until packing.

Finished clips lie in a scratch store (`pipeline.work.scratch`), fingerprinted by the video file, the request and
the settings; a stage that was killed goes on where it stopped.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from pipeline.cropping.resize import RESIZES
from pipeline.params.data import CropParams, TubeParams
from pipeline.sources.boxes import PixelBox
from pipeline.sources.request import ClipRequest
from pipeline.store.clips import Encoding, encode_frame
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.video.decode import Transform, VideoInfo, decode, fingerprint, frames_in_range
from pipeline.work.ledger import ClipError
from pipeline.work.scratch import piece_path, written_at_once


@dataclass(frozen=True)
class CropTask:
    """A request, and everything that decides on the bytes that come of it."""

    request: ClipRequest
    size_px: int
    encoding: Encoding
    jpeg_quality: int
    tube: TubeParams
    resize: str
    scratch: Path
    use_decord: bool = True  # False after decord took a worker down on this clip

    @classmethod
    def plan(cls, request: ClipRequest, params: CropParams, scratch: Path) -> "CropTask":
        """Training clips are JPEG; test clips are PNG, so that no metric sees a codec."""
        encoding: Encoding = "jpeg" if request.split == "train" else "png"
        return cls(request, params.size_px, encoding, params.jpeg_quality, params.tube, params.resize, scratch)

    def file(self) -> Path | None:
        """Where the finished clip lies, or None while there is no video to make it from."""
        video = fingerprint(self.request.path)
        if video is None:
            return None
        quality = self.jpeg_quality if self.encoding == "jpeg" else None
        asked = {**asdict(self.request), "path": None}
        if not asked["note"]:
            del asked["note"]
        settings = (
            code_sha256("pipeline.cropping.clip"),
            self.resize,
            self.size_px,
            self.encoding,
            quality,
            self.tube.model_dump(),
        )
        name = sha256_text(video, asked, settings)[:32]
        return piece_path(self.scratch, self.request.person, self.request.video, name, ".arrow")

    def kept_at(self) -> Path:
        """`file`, where the video is known to be there.

        Raises:
            FileNotFoundError: it went away since the stage looked for it.
        """
        file = self.file()
        if file is None:
            raise FileNotFoundError(f"{self.request.clip}: the video {self.request.path} went away during the stage")
        return file


@dataclass(frozen=True)
class CroppedClip:
    """A finished clip: its encoded frames and its part of the index row."""

    facts: dict
    images: list[bytes]


def crop_clip(task: CropTask) -> tuple[str, str]:
    """Make one clip and keep it in scratch; returns its ledger reason and detail ("ok" and a note)."""
    cv2.setNumThreads(1)
    request = task.request
    try:
        video = decode(request.path, lambda info: _plan(task, info), use_decord=task.use_decord)
        box = _place(task, video.info)
    except ClipError as error:
        return error.reason, error.message
    end = request.end
    if end is None:
        end = request.start + round(len(video.numbers) * _rate(request, video.info) / video.info.fps)
    note = "; ".join(filter(None, (request.note, video.note, _early_end(request, video.info))))
    facts = {
        "end": end,
        "fps": video.info.fps,
        "num_frames": len(video.numbers),
        "source_width": video.info.width,
        "source_height": video.info.height,
        "crop_map": crop_map(box),
        "frame_index": video.numbers,
        "note": note,
    }
    images = [encode_frame(frame, task.encoding, task.jpeg_quality) for frame in video.frames]
    _save(task.kept_at(), CroppedClip(facts, images))
    return "ok", note


def crop_map(box: PixelBox) -> list[float]:
    """Row-major 2x3 map from source-video px to clip ndc: the box's edges become -1 and 1, squeeze included."""
    left, top, right, bottom = box
    x, y = 2 / (right - left), 2 / (bottom - top)
    return [x, 0.0, -1 - x * left, 0.0, y, -1 - y * top]


def load_cropped(path: Path) -> CroppedClip:
    """Read a finished clip back from scratch.

    Raises:
        ValueError: the file is damaged, as a crash of the whole machine may leave it.
    """
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            facts = json.loads(reader.schema.metadata[b"facts"])
            return CroppedClip(facts, reader.get_batch(0).column(0).to_pylist())
    except pa.ArrowInvalid as error:
        raise ValueError(f"the finished clip {path} is damaged ({error}): delete it and run the stage again") from error


def _plan(task: CropTask, info: VideoInfo) -> tuple[list[int], Transform]:
    request = task.request
    rate = _rate(request, info)
    # A request that counts the file's own frames means their numbers, however they are spaced in time.
    by_number = info if request.reference_fps is not None else replace(info, times_s=None)
    numbers = frames_in_range(request.start, request.end, rate, by_number)
    length = len(numbers) * rate / info.fps
    if length < request.min_frames:
        asked = f"crop.tube.min_frames is {request.min_frames}"
        raise ClipError("too_short", f"{length:.0f} frames at {rate:g} fps, {asked}")
    left, top, right, bottom = _place(task, info)
    resize = RESIZES[task.resize]
    return numbers, lambda frame: resize(np.ascontiguousarray(frame[top:bottom, left:right]), task.size_px)


def _place(task: CropTask, info: VideoInfo) -> PixelBox:
    return task.request.box.place((info.width, info.height), task.tube, info.pixel_aspect)


def _rate(request: ClipRequest, info: VideoInfo) -> float:
    """Rate at which the request counts frames: its own, or the file's."""
    return info.fps if request.reference_fps is None else request.reference_fps


def _early_end(request: ClipRequest, info: VideoInfo) -> str:
    """Say so when the video is over before the annotated range is (FOMM keeps the shorter clip)."""
    held = info.num_frames * _rate(request, info) / info.fps
    if request.end is None or held > request.end - 1:
        return ""
    return f"the video ends at reference frame {held:.0f} of [{request.start}, {request.end})"


def _save(path: Path, clip: CroppedClip) -> None:
    schema = pa.schema([("image", pa.binary())], metadata={"facts": json.dumps(clip.facts)})
    with written_at_once(path) as partial, pa.ipc.new_file(str(partial), schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(clip.images, pa.binary())], schema=schema))
