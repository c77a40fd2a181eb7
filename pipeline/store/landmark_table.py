"""Landmarks that a detector found before: a Parquet table beside a data set's videos."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.store.columns import column_array, numbers
from pipeline.store.provenance import sha256_file
from pipeline.store.schema import read_table

_COLUMNS = pa.schema(
    [("person_id", pa.string()), ("video_id", pa.string()), ("frame", pa.int32()), ("score", pa.float32()),
     ("landmarks", pa.list_(pa.float32(), 136))]
)  # fmt: skip
# What the stage `landmarks` finds: such a table with the reason why a frame has none, and an account of its videos.
FOUND_LANDMARKS, FOUND_LEDGER = "landmarks.parquet", "ledger.parquet"
FOUND = pa.schema([*_COLUMNS, ("status", pa.string())])


@dataclass(frozen=True)
class Sighting:
    """Landmarks of some frames: px (T, 68, 2) in the source video, edge-aligned, and scores (T,); NaN where absent."""

    landmarks_px: np.ndarray
    score: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(T,) bool: frames that have landmarks."""
        return np.isfinite(self.landmarks_px).all((1, 2))


class LandmarkTable:
    """Detected landmarks by person, video and frame number.

    Columns: person_id, video_id, frame (at the file's own rate), score, landmarks[136] = x0, y0, x1, ... in
    source pixels whose centres are integers; where videos are cut into utterances also `utterance`, and the
    video is then known as "video/utterance".
    Convention: detectors' integer pixel centres gain +0.5 here, and nowhere else.

    Raises:
        FileNotFoundError: there is no such table; the message says what is needed.
        ValueError: the table lacks a column, or its landmarks are not 136 numbers.
    """

    def __init__(self, path: Path) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"no landmarks at {path}: the tracker `landmarks` needs a table with {', '.join(_COLUMNS.names)}"
            )
        table = read_table(path, _COLUMNS)
        landmarks = column_array(table, "landmarks")
        if landmarks.shape[1] != 136:
            raise ValueError(f"{path}: landmarks hold {landmarks.shape[1]} numbers a row, expected 136")
        self.sha256 = sha256_file(path)
        self._landmarks = landmarks.reshape(-1, 68, 2)
        self._score = numbers(table.column("score"))
        people, videos = (table.column(name).to_pylist() for name in ("person_id", "video_id"))
        if "utterance" in table.column_names:
            videos = [f"{v}/{u}" for v, u in zip(videos, table.column("utterance").to_pylist(), strict=True)]
        frames = table.column("frame").to_pylist()
        self._row = {key: row for row, key in enumerate(zip(people, videos, frames, strict=True))}
        if len(self._row) != table.num_rows:
            raise ValueError(f"{path}: {table.num_rows - len(self._row)} frames have more than one row")

    def frames(self) -> list[tuple[str, str, int]]:
        """Person, video and frame number of every row."""
        return list(self._row)

    def look(self, person: str, video: str, frames: list[int]) -> Sighting:
        """Gather the landmarks of a video's frames, in the order asked for."""
        rows = np.array([self._row.get((person, video, frame), -1) for frame in frames], np.int64)
        absent = rows < 0
        landmarks = self._landmarks[rows].astype(np.float64) + 0.5
        landmarks[absent] = np.nan
        return Sighting(landmarks, np.where(absent, np.nan, self._score[rows]).astype(np.float32))
