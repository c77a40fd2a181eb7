"""What rows would reach with more iterations: `python -m benchmarks.longer SYSTEM...`, after a finished `dvc repro`.

Trains published systems by the profile's recipe at several times its iterations, drops of the learning rate moved
along, while the watcher (`pwm watch`) measures each state on held-out pairs; beside it stands what copying the source
reaches on the same pairs. Writes reports/reference/longer-<profile>.{json,md}, which the tables' footers quote; other
systems' curves stay there, as long as they were measured on the same pairs of the same data.
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from ruamel.yaml import YAML

from benchmarks.timing import processor, table
from pipeline.console import run_command, say
from pipeline.options import DataFolder, DeviceName, ParamsFile
from pipeline.params.tree import load_params
from pipeline.report.footer.budget import longer_file
from pipeline.report.results import Pairs, Results
from pipeline.report.rows import COPY_SOURCE, control_rows, row_named
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.store.schema import PAIRS, SCORES, read_table
from pipeline.training.run import Statistics, run_folder
from pipeline.watching.watch import SCORES as WATCHED
from pipeline.watching.watch import watched, write_thinned

METRICS = ("l1", "akd", "aed", "apd")
COMPARABLE = ("profile", "times", "iterations", "pairs", "copy source")  # what rows of one report have in common
STATES = 2  # measured in each of the profile's own budgets


def longer(params: Path, out: Path, times: int) -> Path:
    """Write the parameters of a longer training; returns their file."""
    yaml = YAML()
    tree = yaml.load(params.read_text(encoding="utf-8"))
    name = tree["bench"]["recipe"]
    recipe = tree["recipes"][name]
    recipe["run"]["checkpoint_every"] = max(1, recipe["iterations"] // STATES)
    recipe["iterations"] *= times
    tree["bench"]["baselines"] = [name]
    for section in filter(None, tree["networks"][name].values()):
        rates = section["learning_rate"]
        rates["drop_steps"] = [times * step for step in rates["drop_steps"]]
    with out.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    return out


def trained(system: str, params: Path, data: Path, pairs: int, device: str) -> list[dict[str, str]]:
    """Train a system with a watcher beside it; returns what that measured, a row a state."""
    settings = load_params(params)
    name = settings.bench.recipe
    common = ["--params", str(params), "--data", str(data), "--device", device]
    watch = [sys.executable, "-m", "pipeline.cli", "watch", f"{name}.{system}", "--pairs", str(pairs), *common]
    with tempfile.TemporaryDirectory() as out:
        beside = subprocess.Popen(watch)
        try:
            train = [sys.executable, "-m", "stages.baseline", "--system", system, "--out", out, *common]
            subprocess.run(train, check=True)
            beside.wait()
        finally:
            beside.kill()
    place = device_named(device)
    run = watched(settings, f"{name}.{system}", None, data, pairs, place)
    recipe = settings.recipes[name]
    job = (run.row.key, "", recipe, run.section, run.inputs, place.type, system)
    files = [run_folder(*job, kind) / WATCHED for kind in get_args(Statistics)]
    with next(file for file in files if file.is_file()).open(newline="") as stream:
        return regular(csv.DictReader(stream), recipe.run.checkpoint_every)


def regular(states: Iterable[dict[str, str]], every: int) -> list[dict[str, str]]:
    """The states at every so many steps, without those that an interrupted run left between."""
    return [state for state in states if int(state["step"]) % every == 0]


def copied(params: Path, data: Path, pairs: int) -> dict[str, dict[str, float]]:
    """What copying the source reaches on the watcher's pairs: data set -> metric -> mean."""
    settings = load_params(params)
    row = row_named(COPY_SOURCE, control_rows(False))
    names = headline_names(settings.bench.head2, row, data)
    with tempfile.TemporaryDirectory() as folder:
        write_thinned(data / "pairs.parquet", Path(folder) / "pairs.parquet", pairs)
        chosen = set(read_table(Path(folder) / "pairs.parquet", PAIRS)["pair_id"].to_pylist())
    scores = read_table(data / "results" / row.results / "scores.parquet", SCORES).to_pandas()
    scores = scores[scores.pair_id.isin(chosen) & (scores.task == "same")]
    found: dict[str, dict[str, float]] = {}
    for name, column in names.items():
        for dataset, values in scores[scores.metric == column].groupby("dataset"):
            found.setdefault(str(dataset), {})[name] = float(np.nanmean(values["value"]))
    return found


def beside(file: Path, report: Mapping[str, Any], rows: Iterable[str]) -> dict[str, Any]:
    """A report that has no rows yet, with those of an earlier one of the same pairs that will not be made anew.

    Raises:
        BadParameter: the earlier one is of other pairs, data or budgets; it would be lost.
    """
    earlier = json.loads(file.read_text()) if file.is_file() else {"rows": {}, "made": {}}
    kept = {key: states for key, states in earlier["rows"].items() if key not in set(rows)}
    differing = [name for name in COMPARABLE if kept and earlier[name] != report[name]]
    if differing:
        raise typer.BadParameter(
            f"{file} has curves of {', '.join(kept)} with other {', '.join(differing)}: "
            "measure them too, or move it away"
        )
    return {**report, "rows": kept, "made": {key: earlier["made"][key] for key in kept}}


def headline_names(head2: str, row: Any, data: Path) -> dict[str, str]:
    """Metric -> the column of scores that tables print."""
    results = Results([row], data / "results", Pairs(data / "pairs.parquet"), 1)
    printed = [m for m in results.measures if results.printed(m) and m.head != head2]
    return {measure.name: measure.id for measure in printed if measure.name in METRICS}


def page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"# Rows at {report['times']} times the iterations, profile {report['profile']}",
        "",
        f"Means over the same-identity ones of {report['pairs']} held-out pairs. The profile's own budget is "
        f"{report['iterations']} iterations;",
        "learning rates drop at the same shares of the longer run, so its state at that step is not the tables' row.",
        "",
    ]
    for key, states in report["rows"].items():
        made = report["made"][key]
        told = f"`{made['command']}`, commit {made['commit']}, {made['machine']}, torch {made['versions']['torch']}."
        lines += [f"## {key}", "", told, ""]
        datasets = list(report["copy source"])
        header = ["step", *(f"{dataset} {name.upper()}" for dataset in datasets for name in METRICS)]
        rows = [["copy source", *(_three(report["copy source"][d].get(n)) for d in datasets for n in METRICS)]]
        for state in states:
            rows.append([str(state["step"]), *(_three(state.get(f"{d}.same.{n}")) for d in datasets for n in METRICS)])
        lines += [*table(header, rows), ""]
    return "\n".join(lines)


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def main(
    systems: Annotated[list[str], typer.Argument(help="published systems that the profile trains")],
    times: Annotated[int, typer.Option(min=2, help="the profile's iterations")] = 5,
    pairs: Annotated[int, typer.Option(min=4, help="held-out pairs that each state is measured on")] = 240,
    params: ParamsFile = Path("params.yaml"),
    data: DataFolder = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/reference"),
    device: DeviceName = "auto",
) -> None:
    """Train systems for longer, and keep the curve of what they reach."""
    settings = load_params(params)
    recipe, file = settings.bench.recipe, longer_file(out, settings.bench.name)
    keys = {system: f"{recipe}.{system}" for system in systems}
    report: dict[str, Any] = {
        "profile": settings.bench.name,
        "times": times,
        "iterations": settings.recipes[recipe].iterations,
        "pairs": pairs,
        "copy source": copied(params, data, pairs),
    }
    report = beside(file, report, keys.values())  # refuses before hours are spent
    made = {
        "command": f"python -m benchmarks.longer {' '.join(systems)} --times {times} --pairs {pairs}",
        "commit": commit(),
        "versions": versions(),
        "machine": processor(),
    }
    with tempfile.TemporaryDirectory() as folder:
        changed = longer(params, Path(folder) / "params.yaml", times)
        for system, key in keys.items():
            report["rows"][key] = [
                {k: (int(v) if k == "step" else float(v)) for k, v in state.items() if v not in ("", None)}
                for state in trained(system, changed, data, pairs, device)
            ]
            report["made"][key] = made
    write_json(file, report)
    write_text(file.with_suffix(".md"), page(report))
    say(f"longer: {file.with_suffix('.md')}")


if __name__ == "__main__":
    run_command(main)
