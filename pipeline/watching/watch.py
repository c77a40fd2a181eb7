"""Scores of a run under way: its states, measured on held-out pairs by the profile's instruments.

The watcher is a process of its own that reads states and writes beside them. Training knows nothing of it, so that its
weights are the same with and without.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from model.heads.head import HeadModel, load_head
from model.method.files import save_model
from model.training.averaging import weights_in
from model.training.resume import CheckpointStore, step_of
from pipeline.bench.generate import PairRunner, generate
from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.bench.scoring import Scorer
from pipeline.bench.tasks import TASKS
from pipeline.console import say
from pipeline.method_table import OURS
from pipeline.methods.release import OFFICIAL
from pipeline.methods.runner import Files
from pipeline.methods.teaching import teacher_module, teacher_named
from pipeline.params.sections.base import Section
from pipeline.params.tree import Params
from pipeline.report.headline import headline_metrics
from pipeline.report.results import Pairs
from pipeline.report.rows import Row, baseline_rows, pwm_rows, row_named
from pipeline.store.clips import FOLDERS
from pipeline.store.schema import PAIRS, read_table, write_table
from pipeline.training.growing import GrowingTable, rows_until
from pipeline.training.inputs import TrainInputs
from pipeline.training.run import Statistics, run_folder

SCORES = "watched.csv"  # in the folder of the run's states
POLL_S = 5.0


@dataclass(frozen=True)
class Watched:
    """A run to watch, and where it is measured.

    Attributes:
        params: all parameters.
        row: the row, one of `trained_rows`.
        seed: of the run.
        data: folder of the stages' outputs.
        pairs: how many pairs, of all data sets and tasks together.
        device: where pairs are generated and measured.
    """

    params: Params
    row: Row
    seed: int
    data: Path
    pairs: int
    device: torch.device

    @property
    def method(self) -> str:
        """Whose network it is."""
        return self.row.system or OURS

    @property
    def section(self) -> Section:
        """What is the method's own."""
        found = self.params.networks[self.row.recipe].of(self.method)
        assert found is not None  # as `trained_rows` found
        return found

    @property
    def inputs(self) -> TrainInputs:
        """What the row is trained from."""
        return TrainInputs.of(self.data, self.row.head)


def watched(params: Params, row: str, seed: int | None, data: Path, pairs: int, device: torch.device) -> Watched:
    """Name a run.

    Raises:
        ValueError: there is no such row, or it is not trained with that seed; the message lists what there is.
    """
    found = row_named(row, trained_rows(params))
    recipe = params.recipes[found.recipe]
    seeds = recipe.seeds(params.bench.seeds)
    if seed is not None and seed not in seeds:
        raise ValueError(f"--seed {seed}: {row} is trained with {', '.join(map(str, seeds))}")
    return Watched(params, found, recipe.seed if seed is None else seed, data, pairs, device)


def trained_rows(params: Params) -> list[Row]:
    """The rows that are trained here: the PWM's, and those of published systems, each with its recipe and head."""
    systems = []
    for row in baseline_rows(params.bench):
        section = None if row.source == OFFICIAL else params.networks[row.source].of(row.system)
        if section is not None:
            systems.append(replace(row, recipe=row.source, head=params.head_of(section), absent=""))
    return [*pwm_rows(params.bench, params.model), *systems]


def watch(run: Watched, wait: bool) -> Iterator[dict[str, object]]:
    """Measure a run's newest state, and then each newer one as it comes, until the run is at its end.

    Args:
        run: the run.
        wait: whether to wait for newer states; else the newest is all.

    Yields:
        What was measured of a state, which is also a row of `watched.csv`: the step, then `DATASET.TASK.METRIC`,
        nothing where it could not be measured.

    Raises:
        FileNotFoundError: there is no state, and nobody waits for one; or an input of the run is missing.
        ValueError: the row's method has nobody here who teaches it.
    """
    recipe = run.params.recipes[run.row.recipe].of_seed(run.seed)
    job = (run.row.key, run.row.guidance, recipe, run.section, run.inputs)
    head, teacher = load_head(run.inputs.head), teacher_named(run.method)
    if teacher is None:
        raise ValueError(
            f"{run.row.key}: {run.method} cannot be trained here: there is no {teacher_module(run.method)}"
        )
    kinds = [(device_type, statistics) for device_type in ("cuda", "cpu") for statistics in get_args(Statistics)]
    states = States([run_folder(*job, device_type, run.method, statistics) for device_type, statistics in kinds])
    made = teacher.build(recipe, run.section, run.row.guidance, head)
    with TemporaryDirectory() as scratch:
        eye: _Eye | None = None
        step = 0
        while step < recipe.iterations:
            found = states.newer(step)
            if found is None and wait:
                time.sleep(POLL_S)
                continue
            if found is None:
                if not step:
                    raise FileNotFoundError(_no_state(run, states))
                return
            folder, state = found
            step, table = state["step"], GrowingTable(folder / SCORES)
            known = rows_until(table.path, step)
            table.begin(known)
            if known and int(known[-1]["step"]) == step:  # by a watcher before this one
                yield dict(known[-1])
                continue
            eye = eye or _Eye(run, Path(scratch))
            made.load_state_dict(weights_in(state))
            scores = {"step": step, **eye.measure(made, head, step)}
            table.add(scores)
            yield scores


def _no_state(run: Watched, states: "States") -> str:
    where = " or ".join(map(str, states.folders))
    return (
        f"{run.row.key}: no state is stored in {where}, where a run of these parameters, inputs and code keeps them; "
        f"its first comes after recipes.{run.row.recipe}.run.checkpoint_every steps: wait with --wait"
    )


class States:
    """What runs have stored, in folders of which one is of the run that is meant.

    Args:
        folders: they need not be there.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders

    def newer(self, step: int) -> tuple[Path, dict[str, Any]] | None:
        """The state of most steps, with its folder; None where there is none of more steps than `step`."""
        stores = [CheckpointStore(folder, say=say) for folder in self.folders]
        ahead = [store for store in stores if any(step_of(path) > step for path in store.states())]
        loaded = [(store.folder, store.load()) for store in ahead]  # only now, as states may be large
        found = [(folder, state) for folder, state in loaded if state is not None and state["step"] > step]
        return max(found, key=lambda one: one[1]["step"], default=None)


class _Eye:
    """Measures networks on one thinned list of held-out pairs; what they are compared with is looked at once."""

    def __init__(self, run: Watched, scratch: Path) -> None:
        self._run, self._scratch = run, scratch
        self._pairs = scratch / "pairs.parquet"
        write_thinned(run.data / "pairs.parquet", self._pairs, run.pairs)
        inputs = EvaluateInputs(clips=run.data / "clips" / FOLDERS["test"], heads=run.data / "heads", pairs=self._pairs)
        self._scorer: Scorer = open_scorer(run.params, inputs, run.device)

    def measure(self, network: nn.Module, head: HeadModel, step: int) -> dict[str, float | None]:
        """Generate and score all pairs with a network."""
        run, row = self._run, self._run.row
        model, results = self._scratch / "model", self._scratch / "results"
        save_model(model, run.method, network, head, step, {"row": row.key})
        files = Files(model, run.data / "heads", run.data / "fits", run.params.bench.head)
        runner = PairRunner(files, self._scorer.pairs.clips, run.device)
        frames = generate(runner, self._scorer.pairs, run.params.evaluate.batch_size)
        self._scorer.save_and_score(row.key, TASKS, frames, results / row.results)
        found = headline_metrics(row, results, Pairs(self._pairs), run.params.bench.head2)
        return {
            f"{dataset}.{task}.{name}": value
            for dataset, tasks in found.items()
            if dataset != "row"
            for task, values in tasks.items()
            for name, value in values.items()
        }


def write_thinned(pairs: Path, out: Path, count: int) -> None:
    """Write some pairs of a list: equally many of each data set and task, evenly spread over it, in its order."""
    table = read_table(pairs, PAIRS)
    groups = list(zip(table["dataset"].to_pylist(), table["task"].to_pylist(), strict=True))
    each, chosen = max(1, count // max(1, len(set(groups)))), []
    for group in dict.fromkeys(groups):
        rows = [number for number, other in enumerate(groups) if other == group]
        chosen += [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int))]
    thin = table.take(pa.array(sorted(chosen), pa.int64()))
    write_table(out, thin, {"sha256": pairs_sha256(thin)})
