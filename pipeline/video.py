"""Decoding of chosen frames: decord, and PyAV where decord cannot or is not installed.

Both number frames in presentation order. Native decoders may hang or crash, so this runs in worker
processes that `pipeline.dask_run` ends after a time limit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.ledger import ClipError

Transform = Callable[[np.ndarray], np.ndarray]


class VideoError(ClipError):
    """A file that gives no frames; reasons: missing_source, empty_file, decode_error, truncated, no_frames."""


class _Undecodable(Exception):
    """One decoder gave up; another may still succeed."""


@dataclass(frozen=True)
class VideoInfo:
    """Size in pixels, mean frames a second and number of frames, as the container states them."""

    width: int
    height: int
    fps: float
    num_frames: int


@dataclass(frozen=True)
class Decoded:
    """Frames `numbers` of a video after the plan's transform; `note` is empty unless PyAV had to decode."""

    info: VideoInfo
    numbers: list[int]
    frames: list[np.ndarray]
    note: str


class _Reader(Protocol):
    info: VideoInfo

    def read(self, numbers: Sequence[int]) -> Iterator[np.ndarray]: ...

    def close(self) -> None: ...


def frames_in_range(start: int, end: int | None, reference_fps: float, info: VideoInfo) -> list[int]:
    """Numbers of the video's frames that lie in [start, end) counted at the reference rate.

    Frame i is kept when `i * reference_fps >= start * fps` and `i * reference_fps < end * fps`
    (load_videos.py of video-preprocessing); `end` None keeps everything from `start`.

    Raises:
        VideoError: `no_frames`, the range lies behind the video's end or holds no frame.
    """
    kept = [
        i
        for i in range(info.num_frames)
        if i * reference_fps >= start * info.fps and (end is None or i * reference_fps < end * info.fps)
    ]
    if not kept:
        asked = f"[{start}, {'end' if end is None else end}) at {reference_fps:g} fps"
        held = f"{info.num_frames} frames at {info.fps:g} fps"
        raise VideoError("no_frames", f"no frame of the video ({held}) lies in the annotated range {asked}")
    return kept


def decode(path: Path, plan: Callable[[VideoInfo], tuple[list[int], Transform]]) -> Decoded:
    """Decode the frames a plan asks for, each transformed as soon as it is decoded.

    Args:
        path: the video file.
        plan: told what the file holds, returns ascending frame numbers and the transform of a frame,
            (H, W, 3) uint8 RGB. It may raise ClipError.

    Raises:
        VideoError: the file is missing or empty, no decoder reads it, or it ends before the last frame.
    """
    if not path.is_file():
        raise VideoError("missing_source", f"no video at {path}")
    if path.stat().st_size == 0:
        raise VideoError("empty_file", f"{path} is empty")
    try:
        return _decode(_DecordReader, path, plan, "")
    except ImportError:
        note = "decoded by PyAV, decord is not installed"
    except _Undecodable as error:
        note = f"decoded by PyAV, decord failed: {error}"
    try:
        return _decode(_AvReader, path, plan, note)
    except _Undecodable as error:
        raise VideoError("decode_error", f"{path}: {error} ({note})") from error


def _decode(
    reader: Callable[[Path], _Reader], path: Path, plan: Callable[[VideoInfo], tuple[list[int], Transform]], note: str
) -> Decoded:
    with closing(reader(path)) as video:
        numbers, transform = plan(video.info)
        frames = [transform(frame) for frame in video.read(numbers)]
        if len(frames) != len(numbers):
            where = f"{len(frames)} of {len(numbers)} frames"
            raise VideoError("truncated", f"{path} ends early: {where} of the clip could be decoded ({note})")
        return Decoded(video.info, numbers, frames, note)


class _DecordReader:
    """Frames by decord, one decoder thread; sequential reading does not seek."""

    def __init__(self, path: Path) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        self._errors = (decord.DECORDError, RuntimeError, IndexError)
        try:
            self._video = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
            height, width = self._video[0].shape[:2]
            self.info = VideoInfo(width, height, float(self._video.get_avg_fps()), len(self._video))
        except self._errors as error:
            raise _Undecodable(_first_line(error)) from error

    def read(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        for number in numbers:
            try:
                frame = self._video[number].asnumpy()
            except self._errors as error:
                raise _Undecodable(f"frame {number}: {_first_line(error)}") from error
            yield frame

    def close(self) -> None:
        del self._video


class _AvReader:
    """Frames by PyAV, numbered by the rank of their presentation time among the file's packets."""

    def __init__(self, path: Path) -> None:
        import av

        self._error = av.error.FFmpegError
        try:
            self._container = av.open(str(path))
        except self._error as error:
            raise _Undecodable(_first_line(error)) from error
        if not self._container.streams.video:
            raise _Undecodable("the file holds no video stream")
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self._times = self._packet_times()
        rate = self._stream.average_rate or Fraction(0)
        num_frames = max(self._stream.frames, len(self._times))
        if not (rate > 0 and num_frames > 0):
            raise _Undecodable("the file states no frame rate or holds no frames")
        self.info = VideoInfo(self._stream.width, self._stream.height, float(rate), num_frames)

    def _packet_times(self) -> np.ndarray:
        times = []
        with suppress(self._error):  # a damaged tail: what comes before it can still be read
            for packet in self._container.demux(self._stream):
                if packet.pts is not None:
                    times.append(packet.pts)
        return np.unique(np.array(times, dtype=np.int64))

    def read(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the frames in order; stops early where the file does."""
        wanted = iter(numbers)
        number = next(wanted)
        if number >= len(self._times):
            return
        try:
            self._container.seek(int(self._times[number]), stream=self._stream)
            for frame in self._container.decode(self._stream):
                if int(np.searchsorted(self._times, frame.pts)) == number:
                    yield frame.to_ndarray(format="rgb24")
                    number = next(wanted, None)
                    if number is None:
                        return
        except self._error:
            return  # the caller counts what came

    def close(self) -> None:
        self._container.close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
