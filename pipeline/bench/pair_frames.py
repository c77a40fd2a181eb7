"""The pair list with its frames: what every method is run on and scored against.

Pairs are names. Frames lie in the mapped clips until some of them are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from pipeline.bench.pair_hash import pairs_sha256
from pipeline.store.clips import ClipStore
from pipeline.store.columns import numbers, texts
from pipeline.store.frames import ClipFrames, Frames, FrameView, HeldFrames
from pipeline.store.provenance import sha256_text
from pipeline.store.schema import PAIRS, read_table
from pipeline.store.shown import whole_video


@dataclass(frozen=True)
class PairFrames:
    """N pairs and where their images are.

    Attributes:
        pair_id, dataset, task, source_clip, driving_clip, source_person, driving_person: (N,) text.
        source_frame, driving_frame: (N,) frame numbers in their clips.
        source_row, driving_row: (N,) rows of `frames`.
        frames: every frame that the list names, once; selecting pairs keeps all of them.
        size_hw: height and width of the frames.
        video_of: the video that each clip was cut from.
    """

    pair_id: np.ndarray
    dataset: np.ndarray
    task: np.ndarray
    source_clip: np.ndarray
    source_frame: np.ndarray
    driving_clip: np.ndarray
    driving_frame: np.ndarray
    source_person: np.ndarray
    driving_person: np.ndarray
    source_row: np.ndarray
    driving_row: np.ndarray
    frames: Frames
    size_hw: tuple[int, int]
    video_of: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.pair_id)

    @property
    def source_u8(self) -> FrameView:
        """Source images; indexing decodes uint8 RGB."""
        return FrameView(self.frames, self.source_row)

    @property
    def driving_u8(self) -> FrameView:
        """Driving images; for the same identity they are the targets."""
        return FrameView(self.frames, self.driving_row)

    @property
    def clips(self) -> set[str]:
        """Names of all clips that the pairs show."""
        return {*self.source_clip, *self.driving_clip}

    @property
    def people(self) -> set[str]:
        """Names of all people and videos that the pairs show."""
        videos = {self.video_of[clip] for clip in self.clips}
        return {*self.source_person, *self.driving_person, *map(whole_video, videos)}

    def select(self, rows: slice | np.ndarray) -> "PairFrames":
        """Keep some pairs, by slice, mask or index."""
        of_pairs = [field.name for field in fields(self) if field.name not in ("frames", "size_hw", "video_of")]
        return replace(self, **{name: getattr(self, name)[rows] for name in of_pairs})


@dataclass(frozen=True)
class SubsetHashes:
    """What was evaluated: the hash of the pair list and that of the sorted clip names."""

    pairs_sha256: str
    subset_sha256: str


def subset_sha256(store: ClipStore) -> str:
    """Hash which clips there are: two people with equal hashes have the same subset of a data set."""
    return sha256_text(sorted(store.clips()))


def load_pair_frames(pairs: Path, clips: Path) -> tuple[PairFrames, SubsetHashes]:
    """Read the pair list and find the frames that it names.

    Raises:
        ValueError: the list is empty or names a clip or frame that is not there.
    """
    table = read_table(pairs, PAIRS)
    if len(table) == 0:
        raise ValueError(f"{pairs} lists no pairs: see the ledger of the stage `crop` and the fits' status")
    store = ClipStore(clips)
    columns = {
        name: numbers(table.column(name)) if name.endswith("_frame") else texts(table.column(name))
        for name in PAIRS.names
    }
    absent = (set(columns["source_clip"]) | set(columns["driving_clip"])) - set(store.clips())
    if absent:
        raise ValueError(f"{pairs} names {len(absent)} clips that are not in {clips}, e.g. {min(absent)}")
    named = {side: _named(columns, side) for side in ("source", "driving")}
    names = sorted({name for side in named.values() for name in side})
    short = [(clip, frame) for clip, frame in names if not 0 <= frame < store.num_frames(clip)]
    if short:
        clip, frame = short[0]
        raise ValueError(f"{pairs} names {len(short)} frames that are not in {clips}, e.g. frame {frame} of {clip}")
    row_of = {name: row for row, name in enumerate(names)}
    rows = {f"{side}_row": np.array([row_of[name] for name in found]) for side, found in named.items()}
    frames = HeldFrames(ClipFrames(store, names))
    size_hw = store.frame(*names[0]).shape[:2]
    hashes = SubsetHashes(pairs_sha256(table), subset_sha256(store))
    video_of = dict(zip(*(store.index[name].to_pylist() for name in ("clip", "video")), strict=True))
    return PairFrames(**columns, **rows, frames=frames, size_hw=size_hw, video_of=video_of), hashes


def _named(columns: dict[str, np.ndarray], side: str) -> list[tuple[str, int]]:
    """Clip and frame of every pair's source or driving image."""
    return list(zip(columns[f"{side}_clip"].tolist(), columns[f"{side}_frame"].tolist(), strict=True))
