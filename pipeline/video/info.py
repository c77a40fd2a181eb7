"""What a video holds, read from its packets without decoding them: frames, times, rate, size, rotation.

Containers lie: about the number of frames (a download that stopped), about the rate (phones record at a
variable one), and about what is up (a rotation in the header). Everything else relies on this count.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.store.provenance import plain_path
from pipeline.video.nal_units import is_damaged, length_size

LARGEST_SIDE_PX = 16_384  # no camera's; a damaged header can ask for terabytes
CXX_ORIGIN = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")
CLOCK_S = 0.001  # Matroska and WebM round times to it


class Undecodable(Exception):
    """One decoder gave up; another may still succeed."""


@dataclass(frozen=True)
class VideoInfo:
    """Size in pixels as shown (rotation applied), mean frames a second, and number of frames.

    `times_s` is None where frames are evenly spaced at `fps`; otherwise each frame's time after the first.
    """

    width: int
    height: int
    fps: float
    num_frames: int
    times_s: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Packets:
    """The info, and what a decoder must know to give those frames.

    `pts` are the frames' presentation times in the stream's unit, ascending; empty where the container gives
    none, or the same to two frames: then frames can only be counted. `quarter_turns` is how often a decoded
    frame has to be turned counter-clockwise. `complete` is False where the container promises more frames
    than it holds, or reading its packets ended in an error. `container` is FFmpeg's name of its form, `keys`
    are the numbers of frames that need no other, `damaged` of those whose packets are (`pipeline.video.nal_units`).
    """

    info: VideoInfo
    pts: np.ndarray
    quarter_turns: int
    complete: bool
    container: str
    keys: np.ndarray
    damaged: np.ndarray

    def spoilt(self, numbers: Sequence[int]) -> list[int]:
        """Frames with damaged packets that some of `numbers` are decoded from: since the last key frame before them."""
        before = self.keys[self.keys <= numbers[0]]
        begin = before[-1] if len(before) else 0
        return [int(number) for number in self.damaged if begin <= number <= numbers[-1]]


def read_packets(path: Path) -> Packets:
    """Read a video's packets; the last few files are remembered, because their clips follow one another.

    Raises:
        Undecodable: no video stream, no frames, no rate, or an impossible size.
    """
    stat = path.stat()
    return _read_packets(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_packets(path: Path, size: int, mtime_ns: int) -> Packets:
    with closing(open_video(path)) as container:
        stream = container.streams.video[0]
        width, height, quarter_turns = _picture(container, stream)
        _rewind(container)
        shown = _read_shown(container, stream)
        pts, held = shown.pts(), shown.num_packets
        rate = float(stream.average_rate or 0)
        num_frames = len(pts) or held
        if not (rate > 0 and num_frames > 0):
            raise Undecodable("the file states no frame rate or holds no frames")
        if not 0 < max(width, height) <= LARGEST_SIDE_PX:
            raise Undecodable(f"frames of {width}x{height} px: the largest side allowed is {LARGEST_SIDE_PX} px")
        fps, times_s = _timing(pts * float(stream.time_base), rate)
        lost = (
            max(0, stream.frames - held) if stream.frames else _lost_by_duration(container, stream, pts, fps, times_s)
        )
        info = VideoInfo(width, height, rate if lost else fps, num_frames + lost, None if lost else times_s)
        whole = shown.whole and not lost
        if not len(pts):
            return Packets(info, pts, quarter_turns, whole, container.format.name, pts, pts)
        keys, damaged = (np.flatnonzero(np.isin(pts, times)) for times in (shown.keys, shown.damaged))
        if not whole:  # the last packet of a file that was cut
            damaged = damaged[damaged < len(pts) - 1]
        return Packets(info, pts, quarter_turns, whole, container.format.name, keys, damaged)


def open_video(path: Path) -> Any:
    """Open a container with PyAV, one decoder thread; it has at least one video stream.

    Raises:
        Undecodable: it is no container, holds no video, or one of an unknown codec.
    """
    import av

    try:
        container = av.open(plain_path(path), metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise Undecodable(first_line(error)) from error
    if not container.streams.video:
        container.close()
        raise Undecodable("the file holds no video stream")
    codec = container.streams.video[0].codec_context
    if codec is None:  # a damaged header names a codec that does not exist
        container.close()
        raise Undecodable("the file's video has a codec that is not known")
    codec.thread_count = 1
    return container


def first_line(error: BaseException) -> str:
    """First line of an error's message, shortened, without the clock time and C++ file that decord begins with."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return CXX_ORIGIN.sub("", line)[:200]


def _picture(container: Any, stream: Any) -> tuple[int, int, int]:
    """Width, height and quarter turns of the first picture that can be decoded; without any, the header's."""
    import av

    try:
        for frame in container.decode(stream):
            turns = round(frame.rotation / 90) % 4
            size = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
            return *size, turns
    except (av.error.FFmpegError, ValueError):
        pass
    return stream.width, stream.height, 0


def _rewind(container: Any) -> None:
    import av

    try:
        container.seek(0)
    except av.error.FFmpegError as error:
        raise Undecodable(f"the file cannot be read from its beginning: {first_line(error)}") from error


@dataclass
class _Shown:
    """Times of the packets that are shown, of the key frames and of the damaged among them."""

    times: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    num_packets: int = 0
    whole: bool = True

    def pts(self) -> np.ndarray:
        """Ascending times; none where two frames have the same one."""
        pts = np.unique(np.array(self.times, np.int64))
        return pts if len(pts) == len(self.times) else np.array([], np.int64)


def _read_shown(container: Any, stream: Any) -> _Shown:
    import av

    shown = _Shown()
    prefix = length_size(stream.codec_context.name, stream.codec_context.extradata)
    try:
        for packet in container.demux(stream):
            if packet.size:
                shown.num_packets += 1
                if packet.pts is not None and not packet.is_discard:
                    shown.times.append(packet.pts)
                    if packet.is_keyframe:
                        shown.keys.append(packet.pts)
                    if prefix and is_damaged(bytes(packet), prefix):
                        shown.damaged.append(packet.pts)
    except av.error.FFmpegError:  # a damaged tail: what comes before it can still be read
        shown.whole = False
    return shown


def _lost_by_duration(container: Any, stream: Any, pts: np.ndarray, fps: float, times_s: np.ndarray | None) -> int:
    """Frames missing from the end of a container that counts none, such as Matroska: by how long it says it is.

    Only where frames are evenly spaced, and the length is known to be that of the pictures. One frame is let
    pass: muxers differ in whether the last one counts.
    """
    text = stream.metadata.get("DURATION", "")
    if re.fullmatch(r"\d+:\d\d:\d\d(\.\d+)?", text):
        hours, minutes, seconds = text.split(":")
        stated_s = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    elif container.duration and len(container.streams) == 1:
        stated_s = container.duration / 1e6
    else:
        return 0
    if times_s is not None or not len(pts):
        return 0
    held_s = float((pts[-1] - pts[0]) * stream.time_base) + 1 / fps
    start_s = max(0.0, float(pts[0] * stream.time_base))
    lost = round((stated_s - start_s - held_s) * fps)
    return lost if lost > 1 else 0


def _timing(times_s: np.ndarray, fps: float) -> tuple[float, np.ndarray | None]:
    """Decide whether frames are evenly spaced: none is half a period away from where its number puts it."""
    if len(times_s) < 2:
        return fps, None
    times_s = times_s - times_s[0]
    if np.abs(times_s - np.arange(len(times_s)) / fps).max() <= max(0.5 / fps, CLOCK_S):
        return fps, None
    return float((len(times_s) - 1) / times_s[-1]), times_s
