"""Training pairs: batch number `step` is a function of (seed, step) alone, whoever asks and when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.methods.protocol import View
from pipeline.methods.views import LANDMARKS, ClipView
from pipeline.store.clips import ClipStore
from pipeline.store.fits import FitTable
from pipeline.store.parts import PartStore
from pipeline.store.shown import whole_video

Crop = tuple[Tensor, Tensor]
Share = tuple[int, int]  # every count-th pair from pair index on: (index, count)
WHOLE: Share = (0, 1)
CACHE_BYTES = 1 << 30  # decoded frames of the smaller corpora fit into memory


@dataclass(frozen=True)
class Pairs:
    """B pairs of frames of one clip each: images (B, 3, H, W) float32 in [0, 1], and their fits.

    Attributes:
        source, driving: the images.
        fit_src, fit_drv: their fits.
        near: where both sides' windows and landmarks are looked up; None where nobody asks for them.
        crops: what became of both sides' positions, p -> scale * p + shift with scale (B, 1, 1) and shift (B, 2, 1);
            None where they are the clip's.
        parts: part labels of both sides' pixels, (B, H, W) uint8 each; None where nobody asks for them.
    """

    source: Tensor
    driving: Tensor
    fit_src: HeadFit
    fit_drv: HeadFit
    near: tuple[ClipView, ClipView] | None = None
    crops: tuple[Crop, Crop] | None = None
    parts: tuple[Tensor, Tensor] | None = None

    def share(self, index: int, count: int) -> "Pairs":
        """Every `count`-th pair from pair `index` on."""
        mine = slice(index, None, count)
        near = self.near and tuple(view.select(mine) for view in self.near)
        crops = self.crops and tuple((scale[mine], shift[mine]) for scale, shift in self.crops)
        parts = self.parts and (self.parts[0][mine], self.parts[1][mine])
        images = self.source[mine], self.driving[mine]
        return Pairs(*images, self.fit_src[mine], self.fit_drv[mine], near, crops, parts)  # type: ignore[arg-type]

    def views(self) -> tuple[View, View]:
        """Source and driving frames as a method's adapter reads them."""
        near, crops = self.near or (None, None), self.crops or (None, None)
        return (
            PairView(self.source, self.fit_src, near[0], crops[0]),
            PairView(self.driving, self.fit_drv, near[1], crops[1]),
        )


@dataclass(frozen=True)
class PairView:
    """One side of training pairs; see `pipeline.methods.protocol.View`. What lies near moves as the crops did."""

    frames: Tensor
    fits: HeadFit
    near: ClipView | None
    crop: Crop | None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self.frames.shape[-2:]
        return height, width

    def images(self) -> Tensor:
        """The frames, (B, 3, H, W) in [0, 1]."""
        return self.frames

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """Fits of the frames' windows."""
        if not (before or after):
            return self.fits
        found = self._near().fit(before, after)
        return found if self.crop is None else moved_fit(found, *self._crop_of(len(found)))

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """Landmarks of the frames' windows, (B * window, 68, 2) ndc."""
        found = self._near().landmarks(before, after)
        if self.crop is None:
            return found
        scale, shift = self._crop_of(len(found))
        return scale * found + shift.transpose(1, 2)

    def _near(self) -> ClipView:
        if self.near is None:
            raise ValueError("these pairs do not say which frames they are, so that nothing near them can be found")
        return self.near

    def _crop_of(self, rows: int) -> Crop:
        """The crop of each of so many rows, a frame's window after the other."""
        assert self.crop is not None
        scale, shift = self.crop
        return scale.repeat_interleave(rows // len(scale), 0), shift.repeat_interleave(rows // len(shift), 0)


def moved_fit(fit: HeadFit, scale: Tensor, shift: Tensor) -> HeadFit:
    """Fits of frames whose points p are at scale * p + shift now."""
    matrix = scale * fit.tracker_map.unflatten(1, (2, 3))
    matrix[:, :, 2:] += shift
    return fit.replace(tracker_map=matrix.flatten(1))


class PairDataset:
    """Random pairs of two different frames of a clip, both with an ok fit.

    Args:
        clips_dir: packed clips (`pipeline.store.clips`).
        fits_path: fits of these clips.
        head: the model's head; a table of another head is refused. None skips the check.
        cache_bytes: how much of decoded frames is kept.
        landmarks: whether landmarks are asked for.
        parts: part labels of these clips (`pipeline.store.parts`); None asks for none.

    Raises:
        ValueError: the fits are of another head, no clip has two frames with an ok fit, or clips have no labels.
    """

    def __init__(
        self,
        clips_dir: Path,
        fits_path: Path,
        head: HeadModel | None = None,
        cache_bytes: int = CACHE_BYTES,
        landmarks: bool = False,
        parts: Path | None = None,
    ) -> None:
        self._store = ClipStore(clips_dir)
        self._parts = PartStore(parts) if parts else None
        self._fits = FitTable.read(fits_path, head, beside=[LANDMARKS] if landmarks else [])
        ok = {
            clip: np.array([i for i in range(self._store.num_frames(clip)) if self._fits.ok(clip, i)])
            for clip in self._store.clips()
        }
        self._frames = {clip: frames for clip, frames in ok.items() if len(frames) > 1}
        fitted = set(self._fits.clips())
        bare = [clip for clip in ok if clip not in fitted]
        if bare:
            shown = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if bare[3:] else "")
            raise ValueError(
                f"{fits_path} has no fits of {len(bare)} of the {len(ok)} clips in {clips_dir} ({shown}): run the "
                "stage `fit` on these clips"
            )
        if not self._frames:
            raise ValueError(f"no clip of {clips_dir} has two frames with an ok fit in {fits_path}")
        self._clips = list(self._frames)
        bare = sorted(set(self._clips).difference(self._parts.clips())) if self._parts else []
        if bare:
            why = self._parts.why if self._parts else ""
            raise ValueError(
                f"{parts} has no labels of {len(bare)} clips, {bare[0]} among them: {why or 'run stage parts'}"
            )
        self._cache: dict[tuple[str, int], np.ndarray] = {}
        self._cached_bytes, self._cache_bytes = 0, cache_bytes

    def __len__(self) -> int:
        """Number of clips that pairs are drawn from."""
        return len(self._clips)

    def batch(self, step: int, seed: int, batch_size: int, share: Share = WHOLE) -> Pairs:
        """Draw the batch of one step: for each item a clip, then two of its frames, uniformly. Any thread may ask.

        Of a share only its own frames are read; they are those of `Pairs.share` of the whole.
        """
        rng = np.random.default_rng([seed, step])
        pairs = []
        for _ in range(batch_size):
            clip = self._clips[rng.integers(len(self._clips))]
            source, driving = rng.choice(self._frames[clip], 2, replace=False).tolist()
            pairs.append((clip, source, driving))
        pairs = pairs[slice(share[0], None, share[1])]
        sources = [(clip, source) for clip, source, _ in pairs]
        drivings = [(clip, driving) for clip, _, driving in pairs]
        images = self._images(sources), self._images(drivings)
        near = self._near(sources, images[0]), self._near(drivings, images[1])
        parts = (self._labels(sources), self._labels(drivings)) if self._parts else None
        return Pairs(*images, self._heads(sources), self._heads(drivings), near, parts=parts)

    def people(self, pairs: Pairs) -> frozenset[str]:
        """Whom drawn pairs show: people, and whole videos."""
        assert pairs.near is not None  # as `batch` draws them
        shown, index = set(pairs.near[0].clips.tolist()), self._store.index
        names = zip(*(index[name].to_pylist() for name in ("clip", "person", "video")), strict=True)
        return frozenset(name for clip, *both in names if clip in shown for name in (both[0], whole_video(both[1])))

    def _near(self, frames: list[tuple[str, int]], images: Tensor) -> ClipView:
        """Where windows and landmarks of these frames are looked up; their images are not looked at again."""
        clips, numbers = (np.array(column) for column in zip(*frames, strict=True))
        height, width = images.shape[-2:]
        return ClipView(_not_again, (height, width), clips, numbers, self._fits, images.device)

    def _images(self, frames: list[tuple[str, int]]) -> Tensor:
        return frames_to_tensor(torch.from_numpy(np.stack([self._frame(*frame) for frame in frames])))

    def _labels(self, frames: list[tuple[str, int]]) -> Tensor:
        assert self._parts is not None
        return torch.from_numpy(np.stack([self._parts.labels(*frame) for frame in frames]))

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


def _not_again() -> np.ndarray:
    raise AssertionError("the images of training pairs are augmented, and not read again")
