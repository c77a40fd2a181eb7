"""What every source hands over: the clips it asks for, and what it could not read."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.boxes import BoxRule
from pipeline.data_params import SourceParams
from pipeline.ledger import ClipError, LedgerRow

REFERENCE_FPS = 25.0  # VoxCeleb counts frames at this rate, whatever the file's own rate is

VOXCELEB1_TEST_PEOPLE = frozenset(f"id{number}" for number in range(10270, 10310))


class SourceError(ValueError):
    """A data folder that cannot be read at all; the message names the folder and the parameter."""


@dataclass(frozen=True)
class ClipRequest:
    """One clip to be made: frames [start, end) of a video at `reference_fps`, cropped by one box rule.

    `end` is None for a whole video. `video` names the video within the person (with "/utterance" for
    the released VoxCeleb2 files, whose utterances are files of their own). `min_frames` counts at the
    reference rate.
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
    reference_fps: float = REFERENCE_FPS

    def row(self, reason: str = "ok", detail: str = "") -> LedgerRow:
        """Return this clip's ledger row."""
        return LedgerRow(self.dataset, self.split, self.clip, self.person, self.video, reason, detail)


@dataclass
class ClipList:
    """Clips asked for, and ledger rows of those whose annotation cannot be read."""

    requests: list[ClipRequest] = field(default_factory=list)
    unreadable: list[LedgerRow] = field(default_factory=list)


def clip_name(person: str, video: str, start: int, end: int) -> str:
    """FOMM's name of a clip, `person#video#start#end` with six digits (load_videos.py)."""
    return f"{person}#{video}#{start:06d}#{end:06d}"


class PersonSplit:
    """Says whether a person is trained on or tested on, as `SourceParams.split` asks."""

    def __init__(self, source: SourceParams, folder: Path) -> None:
        self._rule = source.split
        self._listed: dict[str, str] = {}
        self._table = folder / "people.parquet"
        if self._rule == "listed":
            if not self._table.is_file():
                raise SourceError(f"{source.name}: split `listed` needs {self._table} (columns person, split)")
            table = pq.read_table(self._table, columns=["person", "split"])
            self._listed = dict(zip(*(table[name].to_pylist() for name in ("person", "split")), strict=True))

    def __call__(self, person: str) -> str:
        """Return "train" or "test"; a person that the list lacks raises ClipError."""
        if self._rule == "test":
            return "test"
        if self._rule == "official":
            return "test" if person in VOXCELEB1_TEST_PEOPLE else "train"
        if self._listed.get(person) not in ("train", "test"):
            raise ClipError("bad_annotation", f"{self._table} gives no split (train or test) for {person}")
        return self._listed[person]
