"""Run a model on every pair."""

from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np
import torch

from model.frame.coords import tensor_to_frames
from model.method.network import Made
from pipeline.bench.pair_frames import PairFrames
from pipeline.methods.protocol import View
from pipeline.methods.runner import Files, MethodRunner
from pipeline.store.clips import encode_png
from pipeline.store.compute.threads import streamed, workers_on


class Runner(Protocol):
    """Something that animates pairs on a device; any thread may ask."""

    device: torch.device

    def animate(self, pairs: PairFrames, rows: slice | np.ndarray) -> Made:
        """Generate some pairs."""
        ...


class PairRunner:
    """A model that animates pairs; arguments as of `pipeline.methods.runner.MethodRunner`."""

    def __init__(self, files: Files, clips: Collection[str], device: torch.device, own_crop: bool = False) -> None:
        self.model = MethodRunner(files, clips, device, own_crop)
        self.device = device

    def views(self, pairs: PairFrames, rows: slice | np.ndarray) -> tuple[View, View]:
        """Source and driving frames of some pairs."""
        size_hw = pairs.size_hw
        source, driving = (lambda: pairs.source_u8[rows]), (lambda: pairs.driving_u8[rows])
        return (
            self.model.view(source, size_hw, pairs.source_clip[rows], pairs.source_frame[rows]),
            self.model.view(driving, size_hw, pairs.driving_clip[rows], pairs.driving_frame[rows]),
        )

    def animate(self, pairs: PairFrames, rows: slice | np.ndarray) -> Made:
        """Generate some pairs."""
        same = torch.from_numpy(pairs.task[rows] == "same")
        return self.model.animate(*self.views(pairs, rows), same)


def generate(runner: Runner, pairs: PairFrames, batch_size: int) -> Iterator[list[bytes]]:
    """Generate all pairs in order, a batch at a time: uint8 RGB frames, rounded once, as PNG bytes."""
    batches = [slice(start, start + batch_size) for start in range(0, len(pairs), batch_size)]

    def one(rows: slice) -> list[bytes]:
        return encode_png(tensor_to_frames(runner.animate(pairs, rows).image).cpu().numpy())

    return streamed(one, batches, workers_on(runner.device))
