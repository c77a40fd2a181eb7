"""The frames of a clip by decord, where it is proven that decord gives those that were asked for.

decord (0.6) sorts the packets' times and calls the i-th frame i, as we do. But it counts key frames in decode order,
seeks to one by its presentation time, and then counts what comes out of the decoder without looking at its time. So its
frames are right where all of this is so:

* every packet gives one picture that is shown, and it found the same packets, times and key frames as we did;
* every key frame it seeks to has no packet behind it that is shown earlier, none before it that is shown later (its
  place in decode order is its number), and clears the decoder's memory (an IDR of H.264 and H.265, a key of VP8; begun
  at a recovery point its old decoder repeats pictures);
* the container's index leads to that key frame. Matroska's is by presentation time. That of MOV and MP4 is by decoding
  time: the next key frame must be decoded later than this one is shown. Others were found to seek elsewhere.

Frames that follow one another are read without a seek, so what else the file holds does not matter.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.store.provenance import plain_path
from pipeline.video.packets import Packets
from pipeline.video.track import Undecodable, first_line

CONTAINERS = ("mov", "matroska")
# VP9 may change the size of its pictures anywhere and decord would stretch them; MPEG-4 leaves frames out; AV1 it
# cannot read; the rest is rare.
CODECS = ("h264", "hevc", "vp8")


def why_not(packets: Packets, numbers: Sequence[int]) -> str:
    """Say why decord is not trusted to give frames `numbers` (ascending); empty where it is."""
    if not packets.complete or not len(packets.pts):
        return "the container promises frames that it does not hold, or gives them no times"
    if not packets.container.startswith(CONTAINERS):
        return f"it does not seek exactly in {packets.container}"
    if packets.codec not in CODECS:
        return f"its frames of {packets.codec} are not proven to be those asked for"
    if packets.tracks > 1:
        return "the file has several video tracks or pictures"
    if not packets.orientation.upright:
        return "pictures are turned or mirrored"
    if not packets.steady:
        return "the size of the pictures may change"
    if not (packets.all_shown and len(packets.order)):
        return "there are packets that are not shown, or two of one time"
    if any(_leads_elsewhere(packets, place) for place in _sought(packets.keys, numbers)):
        return "a key frame that it would seek to is no clean start (open group, recovery point or close neighbour)"
    return ""


def read_decord(path: Path, packets: Packets, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames `numbers` (ascending) with decord, one decoder thread.

    Raises:
        ImportError: decord is not installed: it has no wheel for this platform.
        Undecodable: decord fails, or is not trusted; it waits for ever for frames that a container promises and
            does not hold (dmlc/decord issue 373).
    """
    import decord

    if reason := why_not(packets, numbers):
        raise Undecodable(reason)
    decord.logging.set_level(decord.logging.QUIET)
    errors = (decord.DECORDError, RuntimeError, IndexError)
    try:
        video = decord.VideoReader(plain_path(path), ctx=decord.cpu(0), num_threads=1)
        held = len(video)
        if held != len(packets.pts):
            raise Undecodable(f"it counts {held} frames, the packets are of {len(packets.pts)}")
        if video.get_key_indices() != packets.keys.tolist() or not _same_times(video, packets):
            raise Undecodable("it finds other key frames or times than the packets have")
    except errors as error:
        raise Undecodable(first_line(error)) from error
    for number in numbers:
        try:
            frame = video[number].asnumpy()
        except errors as error:
            raise Undecodable(f"frame {number}: {first_line(error)}") from error
        yield frame


def _sought(keys: np.ndarray, numbers: Sequence[int]) -> set[int]:
    """Places of the key frames that decord seeks to on its way through `numbers`: the first always."""
    asked = np.asarray(numbers, np.int64)
    at = np.concatenate([[0], asked[:-1] + 1])  # where it stands before each
    keys = np.union1d([0], keys)  # it takes the beginning for what lies before the first
    wanted, current = (keys[np.searchsorted(keys, places, side="right") - 1] for places in (asked, at))
    return {0, *wanted[(asked != at) & (wanted != current)].tolist()}


def _leads_elsewhere(packets: Packets, place: int) -> bool:
    order, time = packets.order, packets.order[place]
    if place not in packets.resets or (order[:place] >= time).any() or (order[place + 1 :] <= time).any():
        return True
    if not packets.container.startswith("mov"):
        return False
    later = packets.keys[packets.keys > place]
    return bool(len(later)) and packets.dts[later[0]] <= time


def _same_times(video: Any, packets: Packets) -> bool:
    """Whether decord's table of times (32-bit seconds) is that of the packets."""
    found = np.asarray(video.get_frame_timestamp(range(len(packets.pts))), np.float64)[:, 0]
    ticks = packets.pts - packets.pts[0]
    if len(ticks) < 2:
        return True
    found = found - found[0]
    seconds = found[-1] / ticks[-1] * ticks
    tolerance = 0.25 * np.diff(seconds).min() + 4e-7 * abs(found).max()
    return bool(found[-1] > 0 and np.abs(found - seconds).max() <= tolerance)
