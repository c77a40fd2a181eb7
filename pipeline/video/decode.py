"""Decoding of chosen frames: decord, and PyAV where decord cannot or is not installed.

All decoders number frames in presentation order, as `pipeline.video.info` counts them. Native decoders may
hang or crash, so this runs in worker processes that `pipeline.work.dask_run` ends after a time limit.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.video.decord_reader import read_decord
from pipeline.video.info import CLOCK_S, read_packets
from pipeline.video.packets import VideoInfo
from pipeline.video.readers import images_info, list_images, read_av, read_images
from pipeline.video.track import Undecodable
from pipeline.work.foreign_files import own_entries
from pipeline.work.ledger import ClipError

__all__ = ["Decoded", "Transform", "VideoError", "VideoInfo", "decode", "fingerprint", "frames_in_range"]

Transform = Callable[[np.ndarray], np.ndarray]
Plan = Callable[[VideoInfo], tuple[list[int], Transform]]

UNEVEN = "frames are not evenly spaced, chosen by their times"
MARK = "decoded by PyAV"  # begins every note about a clip that decord did not decode


class VideoError(ClipError):
    """A file that gives no frames; reasons: missing_source, empty_file, decode_error, damaged, truncated, no_frames."""


@dataclass(frozen=True)
class Decoded:
    """Frames `numbers` of a video after the plan's transform.

    `note` is empty unless PyAV had to decode, or frames are not evenly spaced.
    """

    info: VideoInfo
    numbers: list[int]
    frames: list[np.ndarray]
    note: str


def frames_in_range(start: int, end: int | None, reference_fps: float, info: VideoInfo) -> list[int]:
    """Numbers of the video's frames that lie in [start, end) counted at the reference rate.

    Frame i is kept when `i * reference_fps >= start * fps` and `i * reference_fps < end * fps`
    (load_videos.py of video-preprocessing); `end` None keeps everything from `start`. Where frames are not
    evenly spaced, i / fps is the frame's own time after the first.

    Raises:
        VideoError: `no_frames`, the range lies behind the video's end or holds no frame.
    """
    if info.times_s is None:
        place, first = np.arange(info.num_frames) * reference_fps, start * info.fps
        last = None if end is None else end * info.fps
    else:
        # Half a tick of the container's clock: a frame that was due at 0.48 s may stand at 0.4795.
        place, first = info.times_s * reference_fps + CLOCK_S / 2 * reference_fps, float(start)
        last = None if end is None else float(end)
    kept = np.flatnonzero((place >= first) & (True if last is None else place < last)).tolist()
    if not kept:
        asked = f"[{start}, {'end' if end is None else end}) at {reference_fps:g} fps"
        held = f"{info.num_frames} frames at {info.fps:g} fps"
        raise VideoError("no_frames", f"no frame of the video ({held}) lies in the annotated range {asked}")
    return kept


def decode(path: Path, plan: Plan, *, use_decord: bool = True) -> Decoded:
    """Decode the frames a plan asks for, each transformed as soon as it is decoded.

    Args:
        path: the video file, or a folder of images.
        plan: told what the file holds, returns ascending frame numbers and the transform of a frame,
            (H, W, 3) uint8 RGB. It may raise ClipError.
        use_decord: False where decord took its process down on this clip before.

    Raises:
        VideoError: the file is missing or empty, no decoder reads it, or it ends before the last frame.
    """
    if path.is_dir():
        return _decode_images(path, plan)
    if not path.is_file():
        raise VideoError("missing_source", f"no video at {path}")
    if path.stat().st_size == 0:
        raise VideoError("empty_file", f"{path} is empty")
    try:
        packets = read_packets(path)
    except Undecodable as error:
        raise VideoError("decode_error", f"{path}: {error}") from error
    numbers, transform = plan(packets.info)
    if spoilt := packets.spoilt(numbers):
        shown = ", ".join(map(str, spoilt[:3])) + (", ..." if len(spoilt) > 3 else "")
        raise VideoError("damaged", f"{path}: {len(spoilt)} frames that the clip is decoded from are damaged: {shown}")
    spaced = "" if packets.info.times_s is None else UNEVEN
    note = "" if use_decord else f"{MARK} instead of decord: with it the worker process hung or crashed"
    if use_decord:
        try:
            frames = _collect(read_decord(path, packets, numbers), transform, packets.info)
            return Decoded(packets.info, numbers, frames, spaced)
        except ImportError:
            note = f"{MARK}, decord is not installed"
        except Undecodable as error:
            note = f"{MARK} instead of decord: {error}"
    try:
        frames = _collect(read_av(path, packets, numbers), transform, packets.info)
    except Undecodable as error:
        raise VideoError("decode_error", f"{path}: {error} ({note})") from error
    return _checked(Decoded(packets.info, numbers, frames, "; ".join(filter(None, (note, spaced)))), path)


def fingerprint(path: Path) -> tuple | None:
    """What tells a video, or a folder of images, from a changed one; None where there is nothing."""
    try:
        stat = path.stat()
        if not path.is_dir():
            return path.name, stat.st_size, stat.st_mtime_ns
        return path.name, [fingerprint(image) for image in own_entries(path)]
    except OSError:
        return None


def _decode_images(folder: Path, plan: Plan) -> Decoded:
    try:
        images = list_images(folder)
        info = images_info(images)
        numbers, transform = plan(info)
        return Decoded(info, numbers, _collect(read_images(images, numbers), transform, info), "")
    except Undecodable as error:
        raise VideoError("decode_error", f"{folder}: {error}") from error


def _collect(frames: Iterable[np.ndarray], transform: Transform, info: VideoInfo) -> list[np.ndarray]:
    return [transform(frame) for frame in _of_one_size(frames, info)]


def _of_one_size(frames: Iterable[np.ndarray], info: VideoInfo) -> Iterator[np.ndarray]:
    for frame in frames:
        if frame.shape[:2] != (info.height, info.width):
            raise Undecodable(f"a frame of {frame.shape[1]}x{frame.shape[0]} px among {info.width}x{info.height}")
        yield frame


def _checked(decoded: Decoded, path: Path) -> Decoded:
    if len(decoded.frames) != len(decoded.numbers):
        where = f"{len(decoded.frames)} of {len(decoded.numbers)} frames"
        raise VideoError("truncated", f"{path} ends early: {where} of the clip could be decoded ({decoded.note})")
    return decoded
