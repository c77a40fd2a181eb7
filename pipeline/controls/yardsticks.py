"""Rows that need no method: copies of a given image, the ground truth and, on puppets, the true reenactment."""

from pathlib import Path

import numpy as np

from pipeline.bench.evaluate import EvaluateInputs, open_scorer
from pipeline.bench.pair_frames import PairFrames
from pipeline.params.tree import Params
from pipeline.report.rows import control_rows


def evaluate_controls(params: Params, inputs: EvaluateInputs, out: Path, device: str) -> None:
    """Score the control rows, one folder each below `out`."""
    scorer = open_scorer(params, inputs, device)
    for row in control_rows(bool(params.bench.corpora)):
        frames = control_frames(row.key, scorer.pairs_of(row.tasks), params, inputs.clips)
        scorer.save_and_score(row.key, row.tasks, frames, out / row.key)


def control_frames(control: str, pairs: PairFrames, params: Params, clips: Path) -> np.ndarray:
    """Frames of a control row: one of the two given images, or the puppet rendered from true codes."""
    if control == "copy_source":
        return pairs.source_u8
    if control in ("ground_truth", "copy_driving"):
        return pairs.driving_u8
    from pipeline.controls.reenact import true_reenactment

    return true_reenactment(params.puppets, pairs, clips)
