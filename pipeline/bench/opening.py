"""What every method is measured with: the pairs, the metrics that can run, and where readings are kept."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.console import say
from pipeline.metrics.protocols import Opening
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import Params
from pipeline.store.compute.threads import workers_on
from pipeline.store.scratch_root import scratch_dir
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
