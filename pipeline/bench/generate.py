"""Run a trained PWM row on every pair."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from model.frame.coords import frames_to_tensor, tensor_to_frames
from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.heads.retarget import retarget
from model.method.network import Made
from model.pwm.animator import Animator, fit_signals
from model.pwm.files import load_animator
from pipeline.bench.pair_frames import PairFrames
from pipeline.store.clips import encode_png
from pipeline.store.compute.threads import streamed, workers_on
from pipeline.store.fits import FitTable


class Runner(Protocol):
    """Something that animates pairs on a device; any thread may ask."""

    device: torch.device

    def animate(self, pairs: PairFrames, rows: slice | np.ndarray) -> Made:
        """Generate some pairs."""
        ...


class RowRunner:
    """A row's animator with the fits that drive it.

    Args:
        model: folder of the trained model.
        head: the head's .npz.
        fits: the head's fits of the evaluation clips.
        clips: clips whose fits are read.
        device: where to run.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: model, head and fits do not belong together; the message names both sides.
    """

    def __init__(self, model: Path, head: Path, fits: Path, clips: Collection[str], device: torch.device) -> None:
        loaded = load_head(head)
        self.fits = FitTable.read(fits, loaded, clips=clips)
        self.animator: Animator = settled(load_animator(model, loaded)).to(device).eval()
        self.head = self.animator.head
        self.device = device

    def fits_of(self, pairs: PairFrames, rows: slice | np.ndarray) -> tuple[HeadFit, HeadFit]:
        """Return source fits and retargeted driving fits of some pairs, on the device."""
        source = self._fit(pairs.source_clip[rows], pairs.source_frame[rows])
        driving = self._fit(pairs.driving_clip[rows], pairs.driving_frame[rows])
        same = pairs.task[rows] == "same"
        crossed = retarget(source, driving, False, self.head)
        own = retarget(source, driving, True, self.head)
        return source, _choose(torch.from_numpy(same).to(self.device), own, crossed)

    @torch.inference_mode()
    def animate(self, pairs: PairFrames, rows: slice | np.ndarray) -> Made:
        """Generate some pairs."""
        source, driving = self.fits_of(pairs, rows)
        frames = torch.from_numpy(np.ascontiguousarray(pairs.source_u8[rows]))
        return self.animator(frames_to_tensor(frames).to(self.device), fit_signals(source, driving))

    def _fit(self, clips: np.ndarray, frames: np.ndarray) -> HeadFit:
        index = [self.fits.row(clip, int(frame)) for clip, frame in zip(clips, frames, strict=True)]
        return self.fits.head_fit(index).to(self.device)


def settled(animator: Animator) -> Animator:
    """Replace spectrally normalised weights by their values, which every pass would compute anew; in place."""
    for module in list(animator.modules()):
        if is_parametrized(module):
            remove_parametrizations(module, "weight")
    return animator


def generate(runner: Runner, pairs: PairFrames, batch_size: int) -> Iterator[list[bytes]]:
    """Generate all pairs in order, a batch at a time: uint8 RGB frames, rounded once, as PNG bytes."""
    batches = [slice(start, start + batch_size) for start in range(0, len(pairs), batch_size)]

    def one(rows: slice) -> list[bytes]:
        return encode_png(tensor_to_frames(runner.animate(pairs, rows).image).cpu().numpy())

    return streamed(one, batches, workers_on(runner.device))


def _choose(mask: torch.Tensor, yes: HeadFit, no: HeadFit) -> HeadFit:
    """Take rows of `yes` where the mask (B,) holds, of `no` elsewhere."""
    fields = ("shape", "expression", "pose", "camera", "tracker_map")
    return HeadFit(*(torch.where(mask[:, None], getattr(yes, name), getattr(no, name)) for name in fields))
