"""How much training again with other seeds changes each cell of the tables, beside its interval over people.

    python -m benchmarks.seeds --rows toy64.puppet.nmfc toy64.puppet.geom_disp --seeds 5

Takes the clips, fits and pairs of a finished run, which it only reads, and trains and evaluates the seeds of two rows
by the code of the stages. Writes reports/reference/seeds-<bench.name>.{json,md}, which the footers of the tables quote.
A study that was killed goes on where it was: trainings and generated frames lie in scratch, under the stages' keys.
"""

import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.timing import processor
from pipeline.bench.evaluate import evaluate_row
from pipeline.bench.opening import EvaluateInputs
from pipeline.console import run_command, say
from pipeline.options import DeviceName, ParamsFile
from pipeline.params.recipe import split_row
from pipeline.params.tree import Params, load_params
from pipeline.report.footer.training import made_by, study_file, study_sentence
from pipeline.report.results import Cell, Pairs, Results, estimate_cell
from pipeline.report.rows import Row
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.store.scratch_root import check_scratch
from pipeline.training.inputs import TrainInputs
from pipeline.training.row import train_seeds

WORK = Path("data/seeds")  # models and results of the study while it runs
NUMBERS = ("mean", "seed_sd", "half_interval_of_one", "sd_over_half_interval", "half_interval_of_all", "widening")
ROUNDING = 1e-9  # share of a number below which an interval is none


def study(params: Params, keys: Sequence[str], seeds: int, data: Path, work: Path, device: torch.device) -> list[dict]:
    """Train and evaluate some rows with several seeds, and compare the seeds' spread with the interval over people.

    Args:
        params: all parameters; `bench.seeds` is not looked at.
        keys: the rows, `recipe.head.guidance`.
        seeds: how many seeds each.
        data: folder of a finished run: `clips`, `fits`, `heads` and `pairs.parquet` are read.
        work: folder of models and results.
        device: where to train and evaluate.

    Returns:
        One dictionary a cell that has an interval.

    Raises:
        ValueError: a key is none, or its recipe is not there.
        FileNotFoundError: the run is not finished.
    """
    rows = [_row(key, params) for key in keys]
    for row in rows:
        recipe, network = params.recipes[row.recipe], params.networks[row.recipe].pwm
        inputs = TrainInputs.of(data, row.head)
        train_seeds(row.key, row.guidance, recipe, network, inputs, work / "models" / row.key, device, seeds)
    on = EvaluateInputs(clips=data / "clips" / "eval", heads=data / "heads", pairs=data / "pairs.parquet")
    for row in rows:
        evaluate_row(params, row.key, on, work / "models", data / "fits", work / "results" / row.results, device)
    results = Results(rows, work / "results", Pairs(data / "pairs.parquet"), params.report.min_people)
    return [_beside(results, cell) for cell in results.cells() if np.isfinite(cell.estimate.low)]


def _row(key: str, params: Params) -> Row:
    recipe, head, guidance = split_row(key)
    if recipe not in params.recipes:
        raise ValueError(f"row {key!r}: there is no recipe {recipe!r}; recipes has {', '.join(params.recipes)}")
    return Row(key, key, "pwm", head, guidance, recipe)


def _beside(results: Results, cell: Cell) -> dict[str, Any]:
    """A cell's spread between seeds, and its interval over people as each seed alone has it."""
    members = results.pairs.members(cell.dataset, cell.task)
    assert members is not None  # the cell has a number
    single = [
        estimate_cell(one, cell.dataset, cell.task, cell.measure, members, results.min_people)
        for one in results.of_row[cell.row.key].alone()
    ]
    half = statistics.mean(one.high - one.value for one in single)
    whole = cell.estimate.high - cell.estimate.value
    measurable = half > ROUNDING * max(1.0, abs(cell.value))
    return {
        "dataset": cell.dataset,
        "task": cell.task,
        "row": cell.row.key,
        "metric": cell.measure.id,
        "of_seeds": [one.value for one in single],
        "mean": cell.value,
        "seed_sd": cell.estimate.seed_sd,
        "half_interval_of_one": half,
        "half_interval_of_all": whole,
        "sd_over_half_interval": cell.estimate.seed_sd / half if measurable else None,
        "widening": whole / half if measurable else None,
    }


def report_of(params: Params, keys: Sequence[str], seeds: int, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that the study's JSON holds."""
    ratios = [cell["sd_over_half_interval"] for cell in cells if cell["sd_over_half_interval"] is not None]
    if not ratios:
        raise ValueError(f"no cell has an interval: report.min_people is {params.report.min_people}")
    recipes = made_by(params.recipes, params.networks)
    return {
        "command": f"python -m benchmarks.seeds --rows {' '.join(keys)} --seeds {seeds}",
        "commit": commit(),
        "processor": processor(),
        "versions": versions(),
        "profile": params.bench.name,
        "recipes": {name: recipes[name] for name in dict.fromkeys(split_row(key)[0] for key in keys)},
        "rows": list(keys),
        "seeds": seeds,
        "sd_over_half_interval": {
            "least": min(ratios), "median": statistics.median(ratios), "most": max(ratios), "cells": len(ratios),
        },
        "cells": list(cells),
    }  # fmt: skip


def page(report: Mapping[str, Any]) -> str:
    """The study as Markdown."""
    name = f"seeds-{report['profile']}.md"
    lines = [
        f"# {report['seeds']} seeds of {len(report['rows'])} rows, profile {report['profile']}", "",
        f"`{report['command']}`, commit {report['commit']}, {report['processor']}, "
        f"torch {report['versions']['torch']}.", "", study_sentence(report, name, report["recipes"]), "",
        "Mean and standard deviation (sd) are over the seeds. The half interval of one seed is 95% over people for its "
        "weights, given as the mean over the seeds; that of all is of the mean over the seeds and holds their variance "
        "([docs/intervals.md](../../docs/intervals.md)).", "",
        "| data set | task | metric | row | mean | sd | half of one | sd / half | half of all | all / one |",
        "| :--- | :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for cell in report["cells"]:
        texts = [cell["dataset"], cell["task"], f"`{cell['metric']}`", cell["row"]]
        texts += ["–" if cell[number] is None else f"{cell[number]:.3g}" for number in NUMBERS]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def main(
    rows: Annotated[tuple[str, str], typer.Option(help="two rows, recipe.head.guidance")],
    seeds: Annotated[int, typer.Option(min=2, help="seeds of each row: its recipe's and those after it")] = 5,
    data: Annotated[Path, typer.Option(help="data folder of a finished run, only read")] = Path("data"),
    params: ParamsFile = Path("params.yaml"),
    out: Annotated[Path, typer.Option(help="folder of the study")] = Path("reports/reference"),
    device: DeviceName = "auto",
) -> None:
    """Train two rows with several seeds and write how far apart their numbers are."""
    settings = load_params(params)
    check_scratch()
    cells = study(settings, rows, seeds, data, WORK, device_named(device))
    report = report_of(settings, rows, seeds, cells)
    file = study_file(out, settings.bench.name)
    write_text(file.with_suffix(".md"), page(report))
    write_json(file, report)
    shutil.rmtree(WORK)  # it shows people; trainings and frames lie in scratch, where `pwm data forget` finds them
    say(study_sentence(report, file.with_suffix(".md").name, report["recipes"]))


if __name__ == "__main__":
    run_command(main)
