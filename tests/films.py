"""Numbered films of every codec, container and structure of groups that PyAV can write, for tests of decoding."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from tests.videos import SIZE_HW, frame_image

GROUP = "20"
X264, X265 = {"crf": "18", "g": GROUP, "preset": "fast"}, {"crf": "18", "preset": "fast"}
X265_QUIET = f"log-level=none:pools=none:frame-threads=1:keyint={GROUP}:min-keyint={GROUP}:scenecut=0"
OLD = {"g": GROUP, "b": "2M"}


@dataclass(frozen=True)
class Film:
    """How a film is written; `forced` frames are made key frames, `hidden` ones (VP8) are decoded and not shown."""

    suffix: str
    codec: str
    options: dict[str, str]
    muxer: dict[str, str] = field(default_factory=dict)
    forced: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    clean: bool = False  # decord is used for every clip, because all groups are closed


def _x264(suffix: str, extra: str, **more: object) -> Film:
    return Film(suffix, "libx264", {**X264, "x264-params": extra}, **more)


def _x265(suffix: str, extra: str, **more: object) -> Film:
    return Film(suffix, "libx265", {**X265, "x265-params": f"{X265_QUIET}:{extra}"}, **more)


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
CLOSED, OPEN, REFRESH = "scenecut=0:bframes=3", "open-gop=1:scenecut=0:bframes=3:min-keyint=20", "intra-refresh=1"

# The small ones are those that decord got wrong, beside ordinary ones.
SMALL = {
    "x264 closed mp4": _x264("mp4", CLOSED, clean=True),
    "x264 fragments mp4": _x264("mp4", CLOSED, muxer=FRAGMENTED),
    "x264 open mp4": _x264("mp4", OPEN),
    "x264 open mkv": _x264("mkv", OPEN),
    "x264 refresh mp4": _x264("mp4", REFRESH),
    "x265 default mp4": _x265("mp4", "bframes=4"),
    "mpeg2 b mp4": Film("mp4", "mpeg2video", {**OLD, "bf": "2"}),
    "mpeg4 b avi": Film("avi", "mpeg4", {**OLD, "bf": "2"}),
    "vp8 hidden webm": Film("webm", "libvpx", {**OLD, "cpu-used": "8"}, hidden=(5, 30)),
}
LARGE = {
    "x264 closed mkv": _x264("mkv", CLOSED, clean=True),
    "x264 closed mov": _x264("mov", CLOSED, clean=True),
    "x264 closed ts": _x264("ts", CLOSED),
    "x264 closed flv": _x264("flv", CLOSED),
    "x264 closed avi": _x264("avi", CLOSED),
    "x264 closed, negative offsets": _x264("mp4", CLOSED, muxer={"movflags": "negative_cts_offsets"}),
    "x264 plain avi": _x264("avi", "bframes=0"),
    "x264 plain mp4": _x264("mp4", "bframes=0", clean=True),
    "x264 pyramid mp4": _x264("mp4", "scenecut=0:bframes=8:b-pyramid=normal:ref=5", clean=True),
    "x264 keys side by side mp4": _x264("mp4", "bframes=3", forced=(7, 8, 10, 31, 32, 33)),
    "x264 keys side by side mkv": _x264("mkv", "bframes=3", forced=(7, 8, 10, 31, 32, 33)),
    "x264 keys, open, side by side mp4": _x264("mp4", "open-gop=1:bframes=3", forced=(7, 8, 10, 31, 32, 33)),
    "x264 all keys mp4": Film("mp4", "libx264", {**X264, "g": "1"}, clean=True),
    "x264 open fragments mp4": _x264("mp4", OPEN, muxer=FRAGMENTED),
    "x264 open ts": _x264("ts", OPEN),
    "x264 open flv": _x264("flv", OPEN),
    "x264 open blu-ray mkv": _x264("mkv", OPEN + ":bluray-compat=1"),
    "x264 refresh mkv": _x264("mkv", REFRESH),
    "x264 refresh ts": _x264("ts", REFRESH),
    "x264 fields mp4": _x264("mp4", "interlaced=1:" + CLOSED),
    "x265 default mkv": _x265("mkv", "bframes=4"),
    "x265 default ts": _x265("ts", "bframes=4"),
    "x265 closed mp4": _x265("mp4", "open-gop=0:bframes=4", clean=True),
    "x265 plain mkv": _x265("mkv", "bframes=0"),
    "x265 leading, decodable mp4": _x265("mp4", "open-gop=0:radl=3:bframes=4"),
    "mpeg2 b mkv": Film("mkv", "mpeg2video", {**OLD, "bf": "2"}),
    "mpeg2 b ts": Film("ts", "mpeg2video", {**OLD, "bf": "2"}),
    "mpeg2 b mpg": Film("mpg", "mpeg2video", {**OLD, "bf": "2"}),
    "mpeg2 closed mp4": Film("mp4", "mpeg2video", {**OLD, "bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}),
    "mpeg1 b mpg": Film("mpg", "mpeg1video", {**OLD, "bf": "2"}),
    "mpeg4 b mp4": Film("mp4", "mpeg4", {**OLD, "bf": "2"}),
    "mpeg4 b mkv": Film("mkv", "mpeg4", {**OLD, "bf": "2"}),
    "mpeg4 plain avi": Film("avi", "mpeg4", OLD),
    "vp8 mkv": Film("mkv", "libvpx", {**OLD, "cpu-used": "8"}),
    "vp8 ogv": Film("ogv", "libvpx", {**OLD, "cpu-used": "8"}),
    "vp9 hidden webm": Film("webm", "libvpx-vp9", {**OLD, "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    "vp9 mp4": Film("mp4", "libvpx-vp9", {**OLD, "cpu-used": "8"}),
    "av1 closed mp4": Film("mp4", "libsvtav1", {"g": GROUP, "preset": "12", "svtav1-params": "irefresh-type=2"}),
    "av1 open mkv": Film("mkv", "libsvtav1", {"g": GROUP, "preset": "12", "svtav1-params": "irefresh-type=1"}),
    "mjpeg avi": Film("avi", "mjpeg", {"qmin": "2", "qmax": "4"}),
    "prores mov": Film("mov", "prores_ks", {}),
    "wmv": Film("wmv", "wmv2", OLD),
    "flv1": Film("flv", "flv", OLD),
}
FILMS = {**SMALL, **LARGE}
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}


def write_film(path: Path, film: Film, num_frames: int, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """Write frames numbered 0, 1, ... (`tests.videos.frame_image`) at 25 frames a second."""
    with _same_priority(), av.open(str(path), "w", options=film.muxer) as container:
        stream = container.add_stream(film.codec, rate=25, options=film.options)
        stream.height, stream.width = size_hw
        stream.pix_fmt = PIXELS.get(film.codec, "yuv420p")
        stream.codec_context.thread_count = 1
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(frame_image(number, size_hw), format="rgb24")
            if number in film.forced:
                frame.pict_type = av.video.frame.PictureType.I
            for packet in stream.encode(frame):
                container.mux(_hide(packet) if number in film.hidden else packet)
        container.mux(stream.encode())
    return path


@contextmanager
def _same_priority() -> Iterator[None]:
    """SVT-AV1 makes the process that calls it a real-time one where it may (as root): all others would wait for it."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def _hide(packet: av.Packet) -> av.Packet:
    """A copy of a VP8 packet with the bit cleared that shows its frame."""
    data = bytearray(bytes(packet))
    data[0] &= ~16
    copy = av.Packet(bytes(data))
    copy.pts, copy.dts, copy.time_base, copy.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    return copy


def frames_in_turn(path: Path) -> list[np.ndarray]:
    """All frames of the first video track, decoded from the beginning without a seek, as they are stored."""
    with av.open(str(path)) as container:
        track = next(stream for stream in container.streams.video)
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(track)]
