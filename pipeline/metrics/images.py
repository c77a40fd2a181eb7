"""Images and their names: equal pixels, equal name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.store.compute.threads import in_threads
from pipeline.store.frames import Frames

Key = bytes
NAMED = 32  # images decoded at once to be named


def image_key(frame_u8: np.ndarray) -> Key:
    """Name an (H, W, 3) uint8 image by its shape and bytes."""
    digest = hashlib.blake2b(str(frame_u8.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame_u8).data)
    return digest.digest()


@dataclass(frozen=True)
class Images:
    """N images of one store of frames: names in memory, pixels when asked for.

    Attributes:
        frames: M frames, decoded by row.
        names: their M names.
        rows: (N,) which of them, in which order; a row may come often.
    """

    frames: Frames
    names: Sequence[Key]
    rows: np.ndarray

    @classmethod
    def of(cls, frames: Frames, workers: int = 1) -> "Images":
        """Name all frames, decoding each once, a few at a time."""
        rows = np.arange(len(frames))
        parts = [rows[start : start + NAMED] for start in range(0, len(rows), NAMED)]
        named = in_threads(lambda part: [image_key(frame) for frame in frames[part]], parts, workers)
        return cls(frames, [name for part in named for name in part], rows)

    @property
    def keys(self) -> list[Key]:
        """Names of the N images."""
        return [self.names[row] for row in self.rows]

    def joined(self, others: Sequence["Images"]) -> "Images":
        """Put images of the same store behind these."""
        assert all(other.frames is self.frames for other in others)
        return self.of_rows(np.concatenate([self.rows, *(other.rows for other in others)]))

    def of_rows(self, rows: np.ndarray) -> "Images":
        """Take other rows of the store."""
        return Images(self.frames, self.names, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | np.ndarray) -> "Images":
        """Keep some images, by slice, numbers or mask."""
        return self.of_rows(self.rows[index])

    def decoded(self, index: slice | np.ndarray) -> np.ndarray:
        """Decode some images: (K, H, W, 3) uint8 RGB."""
        return self.frames[self.rows[index]]
