"""Generate and score one method: a PWM row, or frames that somebody else made."""

from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import trained_head
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.bench.tasks import TASKS
from pipeline.console import say
from pipeline.metrics.protocols import Opening
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import Params
from pipeline.store.scratch_root import scratch_dir
from pipeline.store.threads import workers_on


@dataclass(frozen=True)
class EvaluateInputs:
    """What every method is evaluated on.

    Attributes:
        clips: folder of the evaluation clips.
        heads: folder of heads, `<head>.npz`.
        pairs: the pair list.
    """

    clips: Path
    heads: Path
    pairs: Path


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


def evaluate_row(
    params: Params, method: str, inputs: EvaluateInputs, models: Path, fits: Path, out: Path, device: str
) -> None:
    """Generate every pair with a trained row (a folder of `models`), driven by its head's `fits`, and score it."""
    from pipeline.bench.generate import RowRunner, generate

    head = trained_head(models / method)
    runner = RowRunner(models / method, inputs.heads / f"{head}.npz", fits / head / "eval.parquet", device)
    scorer = open_scorer(params, inputs, device)
    frames = generate(runner, scorer.pairs, params.evaluate.batch_size)
    scorer.save_and_score(method, TASKS, frames, out)


def evaluate_imported(params: Params, method: str, inputs: EvaluateInputs, out: Path, device: str) -> None:
    """Score the `predictions.arrow` that lies in `out` (`pwm predictions import` puts it there)."""
    open_scorer(params, inputs, device).score_saved(method, TASKS, out)
