"""Whether every row uses its driver: `python -m benchmarks.drivers` in a project whose `dvc repro` has finished.

Each trained row animates the same-identity pairs twice: driven by the pair's own driving frame, which is its result in
the tables, and driven by that of another pair of the same person. Against the same truth, the second must lose what the
first has over copying the source; a row that keeps it does not look at its driver. What is left over copying comes with
the paired interval over people that the tables' differences have. Writes reports/benchmarks/drivers.{json,md}.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.timing import processor, table
from pipeline.bench.generate import PairRunner, generate
from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.scoring import Scorer
from pipeline.console import run_command, say
from pipeline.methods.runner import Files
from pipeline.options import DataFolder, DeviceName, ParamsFile
from pipeline.params.tree import Params, load_params
from pipeline.report.headline import headline_metrics
from pipeline.report.intervals.estimates import paired_difference
from pipeline.report.results import Pairs, Results
from pipeline.report.rows import (
    COPY_SOURCE,
    Row,
    baseline_rows,
    control_rows,
    published_rows,
    pwm_rows,
    row_named,
)
from pipeline.store.clips import FOLDERS
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import commit, versions, write_json, write_text

METRICS = ("l1", "akd", "aed", "apd")  # all the lower the better
Means = dict[str, dict[str, float]]  # data set -> metric -> mean over pairs


def shuffled(pairs: PairFrames) -> PairFrames:
    """Every pair with the driving frame of the next pair of the same person and data set; sources stay."""
    taken = np.arange(len(pairs))
    groups = list(zip(pairs.dataset.tolist(), pairs.driving_person.tolist(), strict=True))
    for group in dict.fromkeys(groups):
        rows = np.flatnonzero([one == group for one in groups])
        taken[rows] = np.roll(rows, -1)
    names = ("driving_clip", "driving_frame", "driving_person", "driving_row")
    return replace(pairs, **{name: getattr(pairs, name)[taken] for name in names})


def means(row: Row, results: Path, pairs: Pairs, head2: str) -> Means:
    """Mean of each metric over a row's same-identity pairs, by the instruments that tables print."""
    found = headline_metrics(row, results, pairs, head2)
    return {dataset: {name: found[dataset]["same"][name] for name in METRICS} for dataset in pairs.datasets}


def over_copying(row: Row, results: Path, copies: Path, pairs: Pairs, head2: str, min_people: int) -> dict[str, Any]:
    """A row's same-identity pairs less those of copying the source: data set -> metric -> difference and interval.

    Args:
        row: the row.
        results: folder of its results.
        copies: folder of those of copying.
        pairs: the pair list.
        head2: the head whose columns are not these.
        min_people: with fewer people there is no interval.
    """
    copy = row_named(COPY_SOURCE, control_rows(False))
    ours, theirs = Results([row], results, pairs, min_people), Results([copy], copies, pairs, min_people)
    columns = [m for m in ours.measures if m.name in METRICS and m.head != head2 and ours.printed(m)]
    found: dict[str, Any] = {}
    for dataset in pairs.datasets:
        members = pairs.members(dataset, "same")
        assert members is not None  # as there are scores of them
        for measure in columns:
            where = (dataset, "same", measure.id, members.ids)
            a, b = ours.of_row[row.key].values(*where), theirs.of_row[copy.key].values(*where)
            e = paired_difference(a, b, members.clusters, min_people)
            found.setdefault(dataset, {})[measure.name] = {"difference": e.value, "low": e.low, "high": e.high}
    return found


def surely(differences: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Metrics in which a row is better than copying, beyond the difference's interval."""
    return [name for name in METRICS if differences[name]["high"] < 0]


def with_other_drivers(
    row: Row, files: Files, scorer: Scorer, device: torch.device, batch_size: int, out: Path
) -> None:
    """Generate and score a row's same-identity pairs with shuffled drivers, below the folder `out`."""
    pairs = shuffled(scorer.pairs_of(("same",)))
    runner = PairRunner(files, scorer.pairs.clips, device, row.own_crop)
    scorer.save_and_score(row.key, ("same",), generate(runner, pairs, batch_size), out / row.results)


def beaten(found: Mapping[str, float], copied: Mapping[str, float]) -> list[str]:
    """Metrics in which a row is better than copying the source."""
    return [name for name in METRICS if found[name] < copied[name]]


def measured(params: Params, data: Path, device: torch.device) -> list[dict[str, Any]]:
    """All trained rows: their means, and those with shuffled drivers, a line a row and data set."""
    results, head2 = data / "results", params.bench.head2
    inputs = EvaluateInputs(data / "clips" / FOLDERS["test"], data / "heads", data / "pairs.parquet")
    scorer, pairs = open_scorer(params, inputs, device), Pairs(inputs.pairs)
    copied = means(row_named(COPY_SOURCE, control_rows(False)), results, pairs, head2)
    rows = [*baseline_rows(params.bench, published_rows(results)), *pwm_rows(params.bench, params.model)]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for row in (row for row in rows if row.trained_here):
            files = Files(data / "models" / row.model, inputs.heads, data / "fits", params.bench.head)
            with_other_drivers(row, files, scorer, device, params.evaluate.batch_size, Path(folder))
            own, other = (means(row, root, pairs, head2) for root in (results, Path(folder)))
            left = over_copying(row, Path(folder), results, pairs, head2, params.report.min_people)
            for dataset, copy in copied.items():
                said = {"copy source": copy, "row": own[dataset], "shuffled": other[dataset]}
                better = {name: beaten(found, copy) for name, found in said.items() if name != "copy source"}
                better["shuffled, surely"] = surely(left[dataset])
                line = {"key": row.key, "label": row.label, "dataset": dataset, **said, "better": better}
                lines.append(line | {"shuffled less copying": left[dataset]})
            say(f"{row.key}: {lines[-1]['better']}")
    return lines


def page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    header = ["row", "data set", *(f"{name.upper()}: copy, row, shuffled" for name in METRICS), "better than copying",
              "shuffled", "shuffled, beyond its interval"]  # fmt: skip
    rows = []
    for line in report["lines"]:
        cells = [" / ".join(f"{line[k][name]:.3g}" for k in ("copy source", "row", "shuffled")) for name in METRICS]
        better = [", ".join(line["better"][k]) or "nothing" for k in ("row", "shuffled", "shuffled, surely")]
        rows.append([line["label"], line["dataset"], *cells, *better])
    return "\n".join(
        [
            "# Rows and their drivers",
            "",
            f"`{report['command']}`, profile {report['profile']}, commit {report['commit']}, {report['machine']}, "
            f"torch {report['versions']['torch']}.",
            "",
            "Means over same-identity pairs. Shuffled: each source is driven by the driving frame of another pair of",
            "the same person, and compared with its own pair's truth. The last column holds to the 95% interval, over",
            "people, of the paired difference from copying (drivers.json has the intervals).",
            "",
            *table(header, rows),
            "",
        ]
    )


def main(
    params: ParamsFile = Path("params.yaml"),
    data: DataFolder = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    device: DeviceName = "auto",
) -> None:
    """Drive every trained row by other frames than the pair's, and see what is left of it."""
    known = load_params(params)
    report = {
        "command": "python -m benchmarks.drivers",
        "profile": known.bench.name,
        "commit": commit(),
        "versions": versions(),
        "machine": processor(),
        "lines": measured(known, data, device_named(device)),
    }
    write_json(out / "drivers.json", report)
    write_text(out / "drivers.md", page(report))


if __name__ == "__main__":
    run_command(main)
