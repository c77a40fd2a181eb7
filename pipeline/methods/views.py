"""Frames of packed clips with their fits, as a pair list names them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from pipeline.store.columns import column_array
from pipeline.store.fits import FitTable

LANDMARKS = "landmarks"  # column of a table of fits


@dataclass(frozen=True)
class ClipView:
    """See `pipeline.methods.protocol.View`.

    Attributes:
        frames_u8: decodes the frames, (F, H, W, 3) RGB; asked once, and only where images are.
        size_hw: of the frames.
        clips: (F,) names of their clips.
        numbers: (F,) their frame numbers.
        fits: table of all frames of these clips; None where nothing but images is asked for.
        device: where everything is given.
    """

    frames_u8: Callable[[], np.ndarray]
    size_hw: tuple[int, int]
    clips: np.ndarray
    numbers: np.ndarray
    fits: FitTable | None
    device: torch.device

    def select(self, rows: slice) -> "ClipView":
        """Some of the frames."""

        def some() -> np.ndarray:
            return self.frames_u8()[rows]

        return replace(self, frames_u8=some, clips=self.clips[rows], numbers=self.numbers[rows])

    def images(self) -> Tensor:
        """The frames, (F, 3, H, W) in [0, 1]."""
        return self._images

    @cached_property
    def _images(self) -> Tensor:
        return frames_to_tensor(torch.from_numpy(np.ascontiguousarray(self.frames_u8()))).to(self.device)

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """Fits of the frames' windows."""
        return self._table().head_fit(self._rows(before, after)).to(self.device)

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """The 68 landmarks of the frames' windows, (F * window, 68, 2) ndc."""
        rows = self._rows(before, after)
        marks = column_array(self._table().table.select([LANDMARKS]).take(rows), LANDMARKS)
        return torch.from_numpy(np.array(marks, np.float32).reshape(-1, 68, 2)).to(self.device)

    def _table(self) -> FitTable:
        if self.fits is None:
            raise ValueError("this method is given images alone: its adapter names no table of fits")
        return self.fits

    def _rows(self, before: int, after: int) -> np.ndarray:
        fits = self._table()
        rows: list[int] = []
        for clip, number in zip(self.clips.tolist(), self.numbers.tolist(), strict=True):
            near = window(fits, clip, int(number), before, after) if before or after else [int(number)]
            rows += [fits.row(clip, frame) for frame in near]
        return np.array(rows, np.int64)


def window(fits: FitTable, clip: str, frame: int, before: int, after: int) -> list[int]:
    """Frame numbers of a window (`pipeline.methods.protocol.View` says which).

    Raises:
        ValueError: the frame itself has no fit.
    """
    if not fits.ok(clip, frame):
        raise ValueError(f"{fits.where}: frame {frame} of clip {clip} has no fit, so that nothing can be driven by it")
    wanted = np.clip(np.arange(frame - before, frame + after + 1), 0, fits.last_frame(clip))
    fitted = np.array([at for at in np.unique(wanted) if fits.ok(clip, int(at))])
    nearest = fitted[np.abs(wanted[:, None] - fitted).argmin(1)]  # the first of equals is the older
    return [int(at) for at in nearest]
