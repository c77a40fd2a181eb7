"""What a video holds, read from its packets without decoding them: frames, times, rate, size, what is up.

Containers lie: about the number of frames (a download that stopped), about the rate (phones record at a
variable one), and about what is up (a matrix in the header). Everything else relies on this count.
"""

import re
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.video.nal_units import is_damaged, length_size
from pipeline.video.orientation import Orientation
from pipeline.video.packets import NONE, REORDERED, Packets, VideoInfo
from pipeline.video.starts import CODECS, begins_anew, is_shown, resets, stated_size
from pipeline.video.track import Undecodable, open_video, video_track

LARGEST_SIDE_PX = 16_384  # no camera's; a damaged header can ask for terabytes
CLOCK_S = 0.001  # Matroska and WebM round times to it
NEVER = -(2**62)  # before every presentation time
HOLE = 1.75  # steps from one frame to the next that tell of a lost one; film on video has steps of 2 and 3 fields
TS_PACKETS = (188, 192, 204)  # bytes of an MPEG-TS packet; a file that is no multiple of them ends within one
TIMELESS = "avi"  # packets have a rhythm, and FFmpeg's guess at their times is wrong for H.264 with B-frames


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
        track = video_track(container)
        codec, timeless = track.codec_context.codec, container.format.name.startswith(TIMELESS)
        read = _read_track(path, container, track)
        if not timeless:
            read.leave_out_headless()
        gone = 0 if timeless or track.frames == len(read.times) else read.leave_out_torn()
        pts = read.pts()
        width, height, orientation = _picture(path, container, track)
        num_frames = len(pts) or read.num_shown
        rate = track.average_rate or _rate_by_times(pts, track.time_base)
        if not (rate > 0 and num_frames > 0):
            raise Undecodable("the file states no frame rate or holds no frames")
        if not 0 < max(width, height) <= LARGEST_SIDE_PX:
            raise Undecodable(f"frames of {width}x{height} px: the largest side allowed is {LARGEST_SIDE_PX} px")
        fps, times_s = _timing(pts * float(track.time_base), float(rate))
        held = len(read.times)
        lost = max(0, track.frames - held) if track.frames else _lost_by_duration(container, track, pts, fps, times_s)
        lost = max(lost, gone)
        stated = track.sample_aspect_ratio
        aspect = stated if stated and stated > 0 else Fraction(1)
        info = VideoInfo(
            width,
            height,
            float(rate) if lost else fps,
            num_frames + lost,
            None if lost else times_s,
            float(1 / aspect if orientation.swaps else aspect),
        )
        by_time = len(pts) > 0 and (codec.intra_only or not timeless)
        order, dts = read.in_decode_order() if by_time else (NONE, NONE)
        starts, marked, keys, damaged = (
            np.array(places if len(order) else [], np.int64)
            for places in (read.starts if read.steady else read.starts[:1], read.resets, read.keys, read.damaged)
        )
        return Packets(
            info=info,
            pts=pts,
            order=order,
            dts=dts,
            by_time=by_time,
            starts=starts,
            resets=marked,
            keys=keys,
            damaged=damaged,
            track=track.index,
            tracks=len(container.streams.video),
            codec=codec.canonical_name,
            container=container.format.name,
            orientation=orientation,
            complete=read.whole and not lost,
            all_shown=read.num_shown == held,
            steady=read.steady,
        )


def _picture(path: Path, container: Any, track: Any) -> tuple[int, int, Orientation]:
    """Width, height and orientation of the first picture that can be decoded; without any, the header's."""
    import av

    try:
        container.seek(0)
    except av.error.FFmpegError:  # a raw stream has no times to seek by
        with closing(open_video(path)) as again:
            return _first_picture(again, video_track(again))
    return _first_picture(container, track)


def _first_picture(container: Any, track: Any) -> tuple[int, int, Orientation]:
    import av

    try:
        frame = next(container.decode(track), None)
    except (av.error.FFmpegError, ValueError):
        frame = None
    if frame is None:
        return track.width, track.height, Orientation()
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
        orientation = Orientation() if matrix is None else Orientation.of_matrix(bytes(matrix))
    except ValueError as error:
        raise Undecodable(str(error)) from error
    return *((frame.height, frame.width) if orientation.swaps else (frame.width, frame.height)), orientation


@dataclass
class _Track:
    """Packets in decode order: times, places of those that are special, and whether reading went well."""

    times: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    steady: bool = True
    whole: bool = True

    @property
    def num_shown(self) -> int:
        return sum(self.shown)

    def pts(self) -> np.ndarray:
        """Ascending times of the frames that are shown; none where two have the same.

        Packets without a time are no frames where others have one: they are the rest of a group that was cut off.
        """
        times = [time for time, shown in zip(self.times, self.shown, strict=True) if shown and time is not None]
        if len(set(times)) < len(times):
            return NONE
        return np.array(sorted(times), np.int64)

    def leave_out_torn(self) -> int:
        """Count no frames behind a hole in the last pictures of a file whose packets are out of order.

        It was cut: those pictures were decoded ahead of their turn, and what comes before them is lost. Their numbers
        would be too small. In files of a variable rate nothing tells such a hole from a pause, and all frames stay.

        Returns:
            Number of frames that the file lacks from the hole on, those left out included.
        """
        times = self.pts()
        given = [time for time in self.times if time is not None]
        if len(times) < 3 or given == sorted(given):
            return 0
        steps = np.diff(times)
        step = float(np.median(steps))
        holes = np.flatnonzero(steps > HOLE * step)
        if not len(holes) or len(times) - 1 - holes[0] > REORDERED:
            return 0
        edge = times[holes[0]]
        for place, time in enumerate(self.times):
            self.shown[place] &= time is None or time <= edge
        self.whole = False
        return round(float(times[-1] - edge) / step)

    def in_decode_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Presentation and decoding times, none where two packets have one; a packet without has one before all."""
        times = [NEVER + place if time is None else time for place, time in enumerate(self.times)]
        if len(set(times)) < len(times):
            return NONE, NONE
        dts = [pts if dts is None else dts for pts, dts in zip(times, self.dts, strict=True)]
        return np.array(times, np.int64), np.array(dts, np.int64)

    def leave_out_headless(self) -> None:
        """Count no frames that need what was cut off before the file's beginning: no player shows them.

        They are those before the first packet from which decoding may begin, and those behind it that are shown
        earlier, unless it is known to stand alone.
        """
        first = self.starts[0] if self.starts else None
        begin = None if first is None else self.times[first]
        if first is None or begin is None:
            return
        alone = first in self.resets
        for place, time in enumerate(self.times):
            if place < first or (not alone and time is not None and time < begin):
                self.shown[place] = False


def _read_track(path: Path, container: Any, track: Any) -> _Track:
    import av

    read, size = _Track(), b""
    codec = track.codec_context.codec.canonical_name
    prefix = length_size(codec, track.codec_context.extradata)
    alone = track.codec_context.codec.intra_only
    try:
        for packet in container.demux(track):
            if not packet.size:
                continue
            data, place = bytes(packet), len(read.times)
            read.times.append(packet.pts)
            read.dts.append(packet.dts)
            read.shown.append(not packet.is_discard and is_shown(codec, data))
            if place and packet.has_sidedata("new_extradata"):
                read.steady = False
            if packet.is_keyframe:
                read.keys.append(place)
                if alone or (codec in CODECS and begins_anew(codec, data, prefix)):
                    read.starts.append(place)
                    if resets(codec, data, prefix):
                        read.resets.append(place)
                if stated := stated_size(codec, data, prefix):
                    read.steady &= stated == (size := size or stated)
            if packet.is_corrupt:  # the container says that it is longer
                read.whole = False
            if packet.is_corrupt or (prefix and is_damaged(data, prefix)):
                read.damaged.append(place)
    except av.error.FFmpegError:  # a damaged tail: what comes before it can still be read
        read.whole = False
    if read.times and container.format.name == "mpegts" and all(path.stat().st_size % size for size in TS_PACKETS):
        read.whole = False
        read.damaged.append(len(read.times) - 1)
    return read


def _rate_by_times(pts: np.ndarray, time_base: Fraction | None) -> Fraction:
    """Mean frames a second by the first and last time; 0 where there are none."""
    if len(pts) < 2 or not time_base:
        return Fraction(0)
    return (len(pts) - 1) / (int(pts[-1] - pts[0]) * Fraction(time_base))


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
