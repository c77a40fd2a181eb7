"""What `benchmarks.evaluate` measures: the work of the stages with a cheap method and instruments, a job a process.

The method mirrors the source. The instruments stand in for Inception (2,048 features) and DECA (53 numbers): they read
every image as those do, decoded and in batches, but only pick pixels out of it. All else is the code of the stages.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.frame.coords import frames_to_tensor
from model.method.network import Made
from pipeline.bench.kept import generation_key, keep_generated
from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.scoring import PREDICTED, Scorer
from pipeline.bench.tasks import TASKS
from pipeline.controls.yardsticks import evaluate_controls
from pipeline.metrics import registry
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.metrics.readings import Readings
from pipeline.params.tree import Params, load_params
from pipeline.store.compute.threads import workers_on
from pipeline.store.provenance import ROOT

PROFILE = ROOT / "profiles" / "voxceleb.yaml"
FEATURES, CODES = 2048, 53
CPU = torch.device("cpu")
STRIDE = 8  # pixels between those that the instruments pick
STAND_INS = {
    "inception": "benchmarks.evaluate_run:Features",
    "deca": "benchmarks.evaluate_run:Codes",
    "arcface": "benchmarks.evaluate_run:Absent",
    "fan": "benchmarks.evaluate_run:Absent",
    "deep3d": "benchmarks.evaluate_run:Absent",
    "lpips_alex": "benchmarks.evaluate_run:Absent",
}


@dataclass(frozen=True)
class _StandIn:
    """Picks the first numbers of every eighth pixel."""

    name: str
    reading: str
    length: int
    weights_sha256: str = ""

    @property
    def fingerprint(self) -> str:
        """One of its own: readings are kept by it."""
        return self.name

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 frames."""
        picked = frames_u8[:, ::STRIDE, ::STRIDE].reshape(len(frames_u8), -1)[:, : self.length]
        return {self.reading: picked.astype(np.float32)}


class Features(_StandIn):
    """Stands in for Inception."""

    @classmethod
    def open(cls, opening: Opening) -> "Features":
        """Nothing to load."""
        return cls("features", "pooled", FEATURES)


class Codes(_StandIn):
    """Stands in for DECA."""

    @classmethod
    def open(cls, opening: Opening) -> "Codes":
        """Nothing to load."""
        (head,) = opening.heads
        return cls("codes", f"head_codes:{head}", CODES)


class Absent:
    """An instrument that is left out, whether its weights are imported here or not."""

    @classmethod
    def open(cls, opening: Opening) -> "Absent":
        """Refuse."""
        raise BackendUnavailable("not measured here")


class Mirror:
    """The cheap method."""

    device = CPU

    def animate(self, pairs: PairFrames, rows: slice | np.ndarray) -> Made:
        """Turn the sources round."""
        frames = np.ascontiguousarray(pairs.source_u8[rows][:, :, ::-1])
        return Made(frames_to_tensor(torch.from_numpy(frames)))


def opened(left_out: set[str]) -> Params:
    """Put the stand-ins in their places and leave metrics out; returns the profile's parameters."""
    registry.BACKENDS.update(STAND_INS)
    for name in left_out:
        del registry.METRICS[name]
    return load_params(PROFILE)


def evaluate(params: Params, inputs: EvaluateInputs, out: Path) -> Scorer:
    """Generate, keep and score every pair, as the stage `evaluate` does."""
    scorer = open_scorer(params, inputs, CPU)
    pairs, batch_size = scorer.pairs, params.evaluate.batch_size
    key = generation_key("pwm", False, [], pairs, scorer.hashes.pairs_sha256, scorer.references.names, batch_size, CPU)
    keep_generated(key, pairs, Mirror, batch_size, out / PREDICTED)
    scorer.score_saved("mirror", TASKS, out)
    return scorer


def seconds_of_metrics(scorer: Scorer, params: Params, inputs: EvaluateInputs, out: Path) -> dict[str, dict[str, Any]]:
    """Seconds that scoring saved frames takes with each column alone, less those without any; nothing is remembered."""

    def scored(measures: list[registry.Measure]) -> tuple[float, float]:
        readings = Readings(out / "no scratch", params.evaluate.batch_size, workers_on(CPU))
        alone = Scorer(scorer.pairs, scorer.hashes, measures, readings)
        wall, cpu = time.perf_counter(), time.process_time()
        alone.score_saved("mirror", TASKS, out)
        return time.perf_counter() - wall, time.process_time() - cpu

    floor = scored([])
    found: dict[str, dict[str, Any]] = {"": {"pairs": len(scorer.pairs), "wall_s": floor[0], "cpu_s": floor[1]}}
    for measure in scorer.measures:
        if measure.backend is not None:
            wall, cpu = scored([measure])
            count = int(np.isin(scorer.pairs.task, list(measure.metric.against)).sum())
            found[measure.id] = {"pairs": count, "wall_s": wall - floor[0], "cpu_s": cpu - floor[1]}
    return found


def main(job: str, world: str, left_out: str) -> None:
    """Do one job below `world` and print what it found as JSON."""
    params = opened(set(filter(None, left_out.split(","))))
    folder = Path(world)
    inputs = EvaluateInputs(clips=folder / "clips", heads=folder / "heads", pairs=folder / "pairs.parquet")
    found: dict[str, Any] = {}
    if job == "controls":
        evaluate_controls(params, inputs, folder / "controls", CPU)
    else:
        scorer = evaluate(params, inputs, folder / "mirror")
        if job == "metrics":
            found = seconds_of_metrics(scorer, params, inputs, folder / "mirror")
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
