"""Rows that need no method: copies of a given image, the ground truth and, on puppets, the true reenactment."""

from collections.abc import Iterator
from pathlib import Path

import torch

from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.tasks import CONTROL_TASKS, control_names
from pipeline.params.tree import Params
from pipeline.store.clips import encode_png
from pipeline.store.compute.threads import streamed, workers_on
from pipeline.store.frames import FrameView

BATCH = 32  # frames copied at once


def evaluate_controls(params: Params, inputs: EvaluateInputs, out: Path, device: torch.device) -> None:
    """Score the control rows, one folder each below `out`."""
    scorer = open_scorer(params, inputs, device)
    for name in control_names(bool(params.bench.corpora)):
        frames = control_frames(name, scorer.pairs_of(CONTROL_TASKS[name]), params, inputs.clips)
        scorer.save_and_score(name, CONTROL_TASKS[name], frames, out / name)


def control_frames(control: str, pairs: PairFrames, params: Params, clips: Path) -> Iterator[list[bytes]]:
    """PNG bytes of a control row, in the pairs' order: one of the two given images, or the puppet rendered."""
    if control == "copy_source":
        return copied(pairs.source_u8)
    if control in ("ground_truth", "copy_driving"):
        return copied(pairs.driving_u8)
    from pipeline.controls.reenact import true_reenactment

    return map(encode_png, true_reenactment(params.puppets, pairs, clips))


def copied(frames: FrameView) -> Iterator[list[bytes]]:
    """Encode frames in order, some at a time."""
    parts = [slice(start, start + BATCH) for start in range(0, len(frames), BATCH)]
    return streamed(lambda part: encode_png(frames[part]), parts, workers_on(torch.device("cpu")))
