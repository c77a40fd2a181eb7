"""A container opened, and the one video track of it that is read."""

import re
from pathlib import Path
from typing import Any

from pipeline.store.provenance import plain_path

CXX_ORIGIN = re.compile(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ")


class Undecodable(Exception):
    """One decoder gave up; another may still succeed."""


def open_video(path: Path) -> Any:
    """Open a container with PyAV, one decoder thread; `video_track` of it exists.

    Raises:
        Undecodable: it is no container, holds no video, or one of an unknown codec.
    """
    import av

    try:
        container = av.open(plain_path(path), metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise Undecodable(first_line(error)) from error
    tracks = video_tracks(container)
    if not tracks:
        container.close()
        raise Undecodable("the file holds no video stream")
    codec = video_track(container).codec_context
    if codec is None:  # a damaged header names a codec that does not exist
        container.close()
        raise Undecodable("the file's video has a codec that is not known")
    codec.thread_count = 1
    return container


def video_track(container: Any) -> Any:
    """The video track that is read: the first that the container calls its default, else the first."""
    from av.stream import Disposition

    tracks = video_tracks(container)
    return next((track for track in tracks if track.disposition & Disposition.default), tracks[0])


def video_tracks(container: Any) -> list[Any]:
    """Video tracks without attached pictures, such as cover art."""
    from av.stream import Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [track for track in container.streams.video if not track.disposition & pictures]


def first_line(error: BaseException) -> str:
    """First line of an error's message, shortened, without the clock time and C++ file that decord begins with."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return CXX_ORIGIN.sub("", line)[:200]
