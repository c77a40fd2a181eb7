"""Frames by name: images are decoded when somebody asks for some of them, and held by nobody."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.store.clips import ClipStore


class Frames(Protocol):
    """N images of one size, known by their rows. An array (N, H, W, 3) is one; others decode what is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of some rows, in their order and as often as asked for: (M, H, W, 3) uint8 RGB."""
        ...


class ClipFrames:
    """Chosen frames of packed clips, (clip, frame) each; the encoded bytes stay in the mapped file. Any thread may ask.

    Attributes:
        names: clip and frame of each row.
    """

    def __init__(self, store: ClipStore, names: Sequence[tuple[str, int]]) -> None:
        self.names = names
        self._store = store

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Decode some rows: (M, H, W, 3) uint8 RGB."""
        return np.stack([self._store.frame(*self.names[row]) for row in rows])


class FrameView:
    """Some rows of other frames, read as an array is: what is indexed is decoded, each time anew.

    Args:
        frames: where the images come from.
        rows: (N,) rows of `frames`, in the order in which they are seen here.
    """

    def __init__(self, frames: Frames, rows: np.ndarray) -> None:
        self.frames, self.rows = frames, np.asarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        """Decode one image (H, W, 3) by number, or several (M, H, W, 3) by slice, numbers or mask."""
        rows = self.rows[index]
        return self.frames[rows] if rows.ndim else self.frames[rows[None]][0]
