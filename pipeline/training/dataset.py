"""Training pairs: batch number `step` is a function of (seed, step) alone, whoever asks and when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.store.clips import ClipStore
from pipeline.store.fits import FitTable

CACHE_BYTES = 1 << 30  # decoded frames of the smaller corpora fit into memory


@dataclass(frozen=True)
class Pairs:
    """B pairs of frames of one clip each: images (B, 3, H, W) float32 in [0, 1], and their fits."""

    source: Tensor
    driving: Tensor
    fit_src: HeadFit
    fit_drv: HeadFit

    def share(self, index: int, count: int) -> "Pairs":
        """Every `count`-th pair from pair `index` on."""
        mine = slice(index, None, count)
        return Pairs(self.source[mine], self.driving[mine], self.fit_src[mine], self.fit_drv[mine])


class PairDataset:
    """Random pairs of two different frames of a clip, both with an ok fit.

    Args:
        clips_dir: packed clips (`pipeline.store.clips`).
        fits_path: fits of these clips.
        head: the model's head; a table of another head is refused. None skips the check.
        cache_bytes: how much of decoded frames is kept.

    Raises:
        ValueError: the fits are of another head, or no clip has two frames with an ok fit.
    """

    def __init__(
        self, clips_dir: Path, fits_path: Path, head: HeadModel | None = None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._store = ClipStore(clips_dir)
        self._fits = FitTable.read(fits_path, head)
        ok = {
            clip: np.array([i for i in range(self._store.num_frames(clip)) if self._fits.ok(clip, i)])
            for clip in self._store.clips()
        }
        self._frames = {clip: frames for clip, frames in ok.items() if len(frames) > 1}
        if not self._frames:
            raise ValueError(f"no clip of {clips_dir} has two frames with an ok fit in {fits_path}")
        self._clips = list(self._frames)
        self._cache: dict[tuple[str, int], np.ndarray] = {}
        self._cached_bytes, self._cache_bytes = 0, cache_bytes

    def __len__(self) -> int:
        """Number of clips that pairs are drawn from."""
        return len(self._clips)

    def batch(self, step: int, seed: int, batch_size: int) -> Pairs:
        """Draw the batch of one step: for each item a clip, then two of its frames, uniformly. Any thread may ask."""
        rng = np.random.default_rng([seed, step])
        pairs = []
        for _ in range(batch_size):
            clip = self._clips[rng.integers(len(self._clips))]
            source, driving = rng.choice(self._frames[clip], 2, replace=False).tolist()
            pairs.append((clip, source, driving))
        sources = [(clip, source) for clip, source, _ in pairs]
        drivings = [(clip, driving) for clip, _, driving in pairs]
        return Pairs(self._images(sources), self._images(drivings), self._heads(sources), self._heads(drivings))

    def _images(self, frames: list[tuple[str, int]]) -> Tensor:
        return frames_to_tensor(torch.from_numpy(np.stack([self._frame(*frame) for frame in frames])))

    def _heads(self, frames: list[tuple[str, int]]) -> HeadFit:
        return self._fits.head_fit([self._fits.row(*frame) for frame in frames])

    def _frame(self, clip: str, i: int) -> np.ndarray:
        frame = self._cache.get((clip, i))
        if frame is None:
            frame = self._store.frame(clip, i)
            if self._cached_bytes + frame.nbytes <= self._cache_bytes:  # two threads may go over it by a frame
                self._cache[clip, i] = frame
                self._cached_bytes += frame.nbytes
        return frame
