"""Rows that need no method: copies of a given image, the ground truth and, on puppets, the true reenactment."""

from pathlib import Path

import numpy as np
import torch

from pipeline.bench.evaluate import EvaluateInputs, open_scorer
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.tasks import CONTROL_TASKS, control_names
from pipeline.params.tree import Params


def evaluate_controls(params: Params, inputs: EvaluateInputs, out: Path, device: torch.device) -> None:
    """Score the control rows, one folder each below `out`."""
    scorer = open_scorer(params, inputs, device)
    for name in control_names(bool(params.bench.corpora)):
        frames = control_frames(name, scorer.pairs_of(CONTROL_TASKS[name]), params, inputs.clips)
        scorer.save_and_score(name, CONTROL_TASKS[name], frames, out / name)


def control_frames(control: str, pairs: PairFrames, params: Params, clips: Path) -> np.ndarray:
    """Frames of a control row: one of the two given images, or the puppet rendered from true codes."""
    if control == "copy_source":
        return pairs.source_u8
    if control in ("ground_truth", "copy_driving"):
        return pairs.driving_u8
    from pipeline.controls.reenact import true_reenactment

    return true_reenactment(params.puppets, pairs, clips)
