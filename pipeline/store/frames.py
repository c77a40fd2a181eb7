"""Frames by name: images are decoded when somebody asks for some of them; hardly any are held."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.store.clips import ClipStore

HELD_BYTES = 1 << 25  # 2,700 frames of 64 px, 170 of 256 px


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


class HeldFrames:
    """Other frames, of which those that were asked for first are held while they fit: a small list is decoded once.

    Args:
        frames: where the images come from.
        budget: bytes that may be held; several threads may go over it by a batch.
    """

    def __init__(self, frames: Frames, budget: int = HELD_BYTES) -> None:
        self.frames = frames
        self._left = budget
        self._held: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows: (M, H, W, 3) uint8 RGB."""
        rows = np.asarray(rows)
        absent = [row for row in dict.fromkeys(rows.tolist()) if row not in self._held]
        if len(absent) == len(rows):
            return self._remember(rows)
        fresh = dict(zip(absent, self._remember(np.array(absent)), strict=True)) if absent else {}
        return np.stack([fresh[row] if row in fresh else self._held[row] for row in rows.tolist()])

    def _remember(self, rows: np.ndarray) -> np.ndarray:
        images = self.frames[rows]
        if images.nbytes <= self._left:
            self._left -= images.nbytes
            self._held.update(zip(rows.tolist(), images.copy(), strict=True))
        return images
