"""The pair list with its frames: what every method is run on and scored against."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from pipeline.bench.pairs import pairs_sha256
from pipeline.metrics.protocols import Role
from pipeline.store.clips import ClipStore
from pipeline.store.provenance import sha256_text
from pipeline.store.schema import PAIRS, read_table


@dataclass(frozen=True)
class PairFrames:
    """N pairs and their images.

    Attributes:
        pair_id, dataset, task, source_clip, driving_clip, source_person, driving_person: (N,) text.
        source_frame, driving_frame: (N,) frame numbers in their clips.
        source_u8, driving_u8: (N, H, W, 3) uint8 RGB; for the same identity the driving frame is the target.
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
    source_u8: np.ndarray
    driving_u8: np.ndarray

    def __len__(self) -> int:
        return len(self.pair_id)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.source_u8.shape[1:3]

    def select(self, rows: np.ndarray) -> "PairFrames":
        """Keep some pairs, by mask or index."""
        return PairFrames(*(getattr(self, field.name)[rows] for field in fields(self)))

    def images(self, role: Role) -> np.ndarray:
        """Reference images of a role: (N, H, W, 3) uint8."""
        return self.source_u8 if role == "source" else self.driving_u8


@dataclass(frozen=True)
class SubsetHashes:
    """What was evaluated: the hash of the pair list and that of the sorted clip names."""

    pairs_sha256: str
    subset_sha256: str


def subset_sha256(store: ClipStore) -> str:
    """Hash which clips there are: two people with equal hashes have the same subset of a data set."""
    return sha256_text(sorted(store.clips()))


def load_pair_frames(pairs: Path, clips: Path) -> tuple[PairFrames, SubsetHashes]:
    """Read the pair list and decode every frame that it names, each once.

    Raises:
        ValueError: the list is empty or names a clip that is not there.
    """
    table = read_table(pairs, PAIRS)
    if len(table) == 0:
        raise ValueError(f"{pairs} lists no pairs: see the ledger of the stage `crop` and the fits' status")
    store = ClipStore(clips)
    columns = {name: np.asarray(table.column(name).to_pylist()) for name in PAIRS.names}
    absent = (set(columns["source_clip"]) | set(columns["driving_clip"])) - set(store.clips())
    if absent:
        raise ValueError(f"{pairs} names {len(absent)} clips that are not in {clips}, e.g. {min(absent)}")
    decoded: dict[tuple[str, int], np.ndarray] = {}

    def gather(side: str) -> np.ndarray:
        keys = list(zip(columns[f"{side}_clip"].tolist(), columns[f"{side}_frame"].tolist(), strict=True))
        for key in keys:
            if key not in decoded:
                decoded[key] = store.frame(*key)
        return np.stack([decoded[key] for key in keys])

    hashes = SubsetHashes(pairs_sha256(table), subset_sha256(store))
    return PairFrames(**columns, source_u8=gather("source"), driving_u8=gather("driving")), hashes
