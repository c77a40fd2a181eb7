"""Generate and score one method: a PWM row, or frames that somebody else made."""

from dataclasses import dataclass
from pathlib import Path

import torch

from model.method.files import CONFIG, WEIGHTS, trained_head
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import PREDICTED, Scorer
from pipeline.bench.tasks import TASKS
from pipeline.console import say
from pipeline.metrics.protocols import Opening
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import Params
from pipeline.store.compute.threads import workers_on
from pipeline.store.scratch_root import scratch_dir
from pipeline.store.seeds import further_seeds, keep_seeds, seed_folders
from pipeline.store.shown import name_people


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


def open_scorer(params: Params, inputs: EvaluateInputs, device: torch.device) -> Scorer:
    """Read the pairs, open the metrics, say which cannot run, and look at the reference images."""
    loaded, hashes = load_pair_frames(inputs.pairs, inputs.clips)
    both = (params.bench.head, params.bench.head2)
    paths = {name: inputs.heads / f"{name}.npz" for name in both}
    opening = Opening(paths, params.fit.min_score, device, landmark_fit=params.fit.landmark_fit)
    measures = open_measures(params.metrics, both, loaded.size_hw, opening)
    for reason in dict.fromkeys(m.reason for m in measures if m.reason):
        say(f"no number for {', '.join(m.id for m in measures if m.reason == reason)}: {reason}")
    scratch = scratch_dir("readings", hashes.pairs_sha256)
    name_people(scratch, loaded.people)
    readings = Readings(scratch, params.evaluate.batch_size, workers_on(device))
    scorer = Scorer(loaded, hashes, measures, readings)
    scorer.read_references()
    return scorer


def evaluate_row(
    params: Params, method: str, inputs: EvaluateInputs, models: Path, fits: Path, out: Path, device: torch.device
) -> None:
    """Generate every pair with a trained row (a folder of `models`), driven by its head's `fits`, and score it.

    A row that was trained with several seeds is evaluated seed after seed: the first into `out`, the others into
    `out/seeds/<seed>`. Frames that an earlier run made of the same model, head, fits, pairs and images, by the same
    code, are taken over.
    """
    from pipeline.bench.generate import RowRunner
    from pipeline.bench.kept import generation_key, keep_generated

    name = trained_head(models / method)
    head, driven_by = inputs.heads / f"{name}.npz", fits / name / "eval.parquet"
    scorer = open_scorer(params, inputs, device)
    pairs, batch_size = scorer.pairs, params.evaluate.batch_size
    keep_seeds(out, further_seeds(models / method))
    for model in seed_folders(models / method):
        part = model.relative_to(models / method)
        files = [model / WEIGHTS, model / CONFIG, head, driven_by]
        key = generation_key(files, pairs, scorer.hashes.pairs_sha256, scorer.references.names, batch_size, device)

        def open_runner(model: Path = model) -> RowRunner:
            return RowRunner(model, head, driven_by, pairs.clips, device)

        made = keep_generated(key, pairs, open_runner, batch_size, out / part / PREDICTED)
        which = f"{method} ({part.as_posix()})" if part.parts else method
        say(f"{which}: {made} of {len(pairs)} pairs generated, the rest kept from an earlier run")
        scorer.score_saved(method, TASKS, out / part)


def evaluate_imported(params: Params, method: str, inputs: EvaluateInputs, out: Path, device: torch.device) -> None:
    """Score the `predictions.arrow` that lies in `out` (`pwm predictions import` puts it there)."""
    open_scorer(params, inputs, device).score_saved(method, TASKS, out)
