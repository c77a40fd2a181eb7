"""What a decoder must know of a video's packets to give the frames that were asked for, by their times."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.video.orientation import Orientation

NONE = np.array([], np.int64)
REORDERED = 16  # the most pictures that a packet can be decoded ahead of its turn


@dataclass(frozen=True)
class VideoInfo:
    """Size in pixels as shown (turned, not stretched), mean frames a second, and number of frames.

    `times_s` is None where frames are evenly spaced at `fps`; otherwise each frame's time after the first.
    `pixel_aspect` is a pixel's width over its height; it is not 1 in anamorphic videos.
    """

    width: int
    height: int
    fps: float
    num_frames: int
    times_s: np.ndarray | None = field(default=None, compare=False, repr=False)
    pixel_aspect: float = 1.0


@dataclass(frozen=True)
class Packets:
    """The info, and the packets of the track that is read, in decode order.

    Attributes:
        info: what the video holds.
        pts: presentation times of the frames in the track's unit, ascending: frame i is the picture shown at `pts[i]`.
            Empty where the container gives a frame no time, or two the same.
        order, dts: presentation and decoding times of all packets, those that are not shown as well; empty where
            pictures are not known by their times or two packets have one.
        by_time: the times are those of the pictures; AVI gives packets a rhythm alone, and its frames are counted as
            they come out of the decoder, from its beginning.
        starts: places in `order` from which decoding may begin; `resets`: those behind which nothing
            needs what was before, whenever it is shown (`pipeline.video.starts`).
        keys: places in `order` that the container marks as key frames.
        damaged: places in `order` of damaged packets (`pipeline.video.nal_units`).
        track: index of the track in its container; `tracks`: number of video tracks and pictures there.
        codec, container: FFmpeg's names.
        orientation: how a decoded picture is turned.
        complete: False where the container promises more frames than it holds, or reading it ended in an error.
        all_shown: every packet gives one picture that is shown.
        steady: no key packet says another size than the first.
    """

    info: VideoInfo
    pts: np.ndarray
    order: np.ndarray
    dts: np.ndarray
    by_time: bool
    starts: np.ndarray
    resets: np.ndarray
    keys: np.ndarray
    damaged: np.ndarray
    track: int
    tracks: int
    codec: str
    container: str
    orientation: Orientation
    complete: bool
    all_shown: bool
    steady: bool

    def place(self, number: int) -> int:
        """Place in `order` of a frame's packet."""
        return int(np.flatnonzero(self.order == self.pts[number])[0])

    def start(self, number: int) -> int:
        """Place in `order` of the last packet from which a frame can be decoded; 0 where there is none."""
        if not len(self.order):
            return 0
        before = self.starts[self.starts <= self.place(number)]
        before = before[self.order[before] <= self.pts[number]]
        return int(before[-1]) if len(before) else 0

    def spoilt(self, numbers: Sequence[int]) -> list[int]:
        """Frames with damaged packets that some of `numbers` are decoded from: since the start before them.

        Where frames are asked for that the file lacks, its last one, half-written, is not held against it.
        """
        asked, numbers = len(numbers), [number for number in numbers if number < len(self.pts)]
        if not numbers or not len(self.damaged):
            return []
        begin = self.start(numbers[0])
        end = int(np.flatnonzero(np.isin(self.order, self.pts[numbers])).max())
        places = self.damaged[(self.damaged >= begin) & (self.damaged <= end)]
        damaged = np.flatnonzero(np.isin(self.pts, self.order[places])).tolist()
        return damaged if len(numbers) == asked else [number for number in damaged if number < len(self.pts) - 1]
