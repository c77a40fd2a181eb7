"""Generate and score the pairs with models: a row of ours, or a published system from all its sources."""

from pathlib import Path

import torch

from pipeline.bench.generate import PairRunner
from pipeline.bench.kept import generation_key, keep_generated
from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.scoring import PREDICTED, Scorer
from pipeline.bench.tasks import TASKS
from pipeline.console import say
from pipeline.methods.published import read_rows, write_rows
from pipeline.methods.runner import Files
from pipeline.params.tree import Params
from pipeline.store.seeds import further_seeds, keep_seeds, seed_folders


class Evaluation:
    """Evaluates models on one list of pairs; what they are compared with is looked at once.

    Args:
        params: all parameters.
        inputs: what is evaluated on.
        fits: folder of fits, `<head>/eval.parquet`.
        device: where to run.
    """

    def __init__(self, params: Params, inputs: EvaluateInputs, fits: Path, device: torch.device) -> None:
        self._params, self._inputs, self._fits, self._device = params, inputs, fits, device
        self._scorer: Scorer | None = None

    def evaluate_seeds(self, name: str, model: Path, out: Path, own_crop: bool = False) -> None:
        """Evaluate a model seed after seed: the first into `out`, the others into `out/seeds/<seed>`."""
        keep_seeds(out, further_seeds(model))
        for seed in seed_folders(model):
            part = seed.relative_to(model)
            self.evaluate(f"{name} ({part.as_posix()})" if part.parts else name, seed, out / part, own_crop)

    def evaluate(self, name: str, model: Path, out: Path, own_crop: bool = False) -> None:
        """Generate every pair with a model and score it into `out`.

        Frames that an earlier run made of the same files, pairs and images, by the same code, are taken over.
        """
        if self._scorer is None:
            self._scorer = open_scorer(self._params, self._inputs, self._device)
        files = Files(model, self._inputs.heads, self._fits, self._params.bench.head)
        scorer, batch_size = self._scorer, self._params.evaluate.batch_size
        pairs, names = scorer.pairs, scorer.references.names
        key = generation_key(
            files.method, own_crop, files.all, pairs, scorer.hashes.pairs_sha256, names, batch_size, self._device
        )

        def open_runner() -> PairRunner:
            return PairRunner(files, pairs.clips, self._device, own_crop)

        made = keep_generated(key, pairs, open_runner, batch_size, out / PREDICTED)
        say(f"{name}: {made} of {len(pairs)} pairs generated, the rest kept from an earlier run")
        scorer.score_saved(name, TASKS, out)


def evaluate_row(
    params: Params, row: str, inputs: EvaluateInputs, models: Path, fits: Path, out: Path, device: torch.device
) -> None:
    """Evaluate a row of ours (a folder of `models`), driven by its head's `fits`."""
    Evaluation(params, inputs, fits, device).evaluate_seeds(row, models / row, out)


def evaluate_published(
    params: Params, system: str, inputs: EvaluateInputs, models: Path, fits: Path, out: Path, device: torch.device
) -> None:
    """Evaluate the rows that a published system's models give (`rows.json`), each into its folder below `out`."""
    evaluation = Evaluation(params, inputs, fits, device)
    rows = read_rows(models / system)
    for row in rows:
        if not row.absent:
            evaluation.evaluate_seeds(
                f"{system} {row.folder}", models / system / row.source, out / row.folder, row.own_crop
            )
    write_rows(out, rows)


def evaluate_imported(params: Params, method: str, inputs: EvaluateInputs, out: Path, device: torch.device) -> None:
    """Score the `predictions.arrow` that lies in `out` (`pwm predictions import` puts it there)."""
    open_scorer(params, inputs, device).score_saved(method, TASKS, out)
