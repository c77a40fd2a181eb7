"""Generate and score one method: a PWM row, frames that somebody else made, or the controls."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.console import say
from pipeline.metrics.protocols import Opening
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import open_measures
from pipeline.pair_frames import PairFrames, load_pair_frames
from pipeline.params import Params
from pipeline.provenance import scratch_dir
from pipeline.rows import Row, control_rows
from pipeline.scoring import Scorer
from pipeline.threads import workers_on

TASKS = ("same", "cross")


@dataclass(frozen=True)
class EvaluateInputs:
    """What every method is evaluated on.

    Attributes:
        clips: folder of the evaluation clips.
        heads: folder of heads, `<head>.npz`.
        fits: folder of fits, `<head>/eval.parquet`.
        pairs: the pair list.
        models: folder of trained rows.
    """

    clips: Path
    heads: Path
    fits: Path
    pairs: Path
    models: Path


def open_scorer(params: Params, inputs: EvaluateInputs, device: str) -> Scorer:
    """Read the pairs, open the metrics, say which cannot run, and look at the reference images."""
    loaded, hashes = load_pair_frames(inputs.pairs, inputs.clips)
    both = (params.bench.head, params.bench.head2)
    opening = Opening({name: inputs.heads / f"{name}.npz" for name in both}, params.fit.min_score, device)
    measures = open_measures(params.metrics, both, loaded.size_hw, opening)
    for reason in dict.fromkeys(m.reason for m in measures if m.reason):
        say(f"no number for {', '.join(m.id for m in measures if m.reason == reason)}: {reason}")
    scratch = scratch_dir("readings", hashes.pairs_sha256)
    readings = Readings(scratch, params.evaluate.batch_size, workers_on(device))
    scorer = Scorer(loaded, hashes, measures, readings)
    scorer.read_references()
    return scorer


def evaluate_row(params: Params, row: Row, inputs: EvaluateInputs, out: Path, device: str) -> None:
    """Generate every pair with a trained row and score it into `out`."""
    from pipeline.generate import RowRunner, generate

    fits = inputs.fits / row.head / "eval.parquet"
    runner = RowRunner(inputs.models / row.key, inputs.heads / f"{row.head}.npz", fits, device)
    scorer = open_scorer(params, inputs, device)
    frames = generate(runner, scorer.pairs, params.evaluate.batch_size)
    scorer.save_and_score(row.key, row.tasks, frames, out)


def evaluate_imported(params: Params, method: str, inputs: EvaluateInputs, out: Path, device: str) -> None:
    """Score the `predictions.arrow` that lies in `out` (`pwm predictions import` puts it there)."""
    open_scorer(params, inputs, device).score_saved(method, TASKS, out)


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
    from pipeline.puppets.reenact import true_reenactment

    return true_reenactment(params.puppets, pairs, clips)
