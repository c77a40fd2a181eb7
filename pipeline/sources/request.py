"""What every source hands over: the clips it asks for, and what it could not read."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.params.data import SourceParams
from pipeline.sources.boxes import BoxRule
from pipeline.work.ledger import LedgerRow

REFERENCE_FPS = 25.0  # VoxCeleb counts frames at this rate, whatever the file's own rate is
LARGEST_FRAME = 2**31 - 1  # frame numbers are stored as int32


class SourceError(ValueError):
    """A data folder that cannot be read at all; the message names the folder and the parameter."""


@dataclass(frozen=True)
class ClipRequest:
    """One clip to be made: frames [start, end) of a video at `reference_fps`, cropped by one box rule.

    `end` is None for a whole video. `video` names the video within the person (with "/utterance" for
    files that hold one piece of a video). `min_frames` counts at the reference rate, which is None where
    frames are numbered as the file numbers them. `path` may name a file that does not exist. `note` is
    what the ledger should say about the clip even when all is well.
    """

    clip: str
    dataset: str
    split: str
    person: str
    video: str
    start: int
    end: int | None
    box: BoxRule
    path: Path
    min_frames: int
    reference_fps: float | None = REFERENCE_FPS
    note: str = ""

    def row(self, reason: str = "ok", detail: str = "") -> LedgerRow:
        """Return this clip's ledger row."""
        return LedgerRow(self.dataset, self.split, self.clip, self.person, self.video, reason, detail)


@dataclass
class ClipList:
    """Clips asked for, and ledger rows of what asks for no clip of its own: unreadable or repeated annotations.

    `sources` are the data sets that were listed.
    """

    requests: list[ClipRequest] = field(default_factory=list)
    unreadable: list[LedgerRow] = field(default_factory=list)
    sources: list[SourceParams] = field(default_factory=list)


def clip_name(person: str, video: str, start: int, end: int) -> str:
    """FOMM's name of a clip, `person#video#start#end` with six digits (load_videos.py)."""
    return f"{person}#{video}#{start:06d}#{end:06d}"
