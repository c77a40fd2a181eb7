"""What the intervals of the tables cover, by simulation, into docs/intervals.md.

    python -m benchmarks.coverage                # the tables, half a minute
    python -m benchmarks.coverage --take data    # take real people's effects from results of the profile `puppets`

Normal effects have deviations like those of the puppets' columns. Real effects are those of the 24 test people of that
profile, kept in tests/data/people_effects.json, rows and differences of two rows. The design of every simulation is
that of `pipeline.bench.pairs`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from pipeline.bench.pairs import draw_pairs
from pipeline.console import run_command
from pipeline.metrics.fid import frechet_distance
from pipeline.params.data import PairParams
from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.coverage import least, normal_coverage, resampled_coverage, seed_coverage
from pipeline.report.intervals.estimates import estimate_distance
from pipeline.report.intervals.seeds import quantile
from pipeline.report.results import Pairs
from pipeline.store.columns import numbers
from pipeline.store.provenance import ROOT, write_text
from pipeline.store.schema import INDEX, SCORES, read_table

PAGE, EFFECTS = ROOT / "docs" / "intervals.md", ROOT / "tests" / "data" / "people_effects.json"
START, END = "<!-- made by python -m benchmarks.coverage -->\n", "<!-- end -->\n"
Deviations = tuple[float, float, float, float]

PER_PERSON = 22
ROUNDING = 1e-9
NORMAL_PEOPLE, CORRELATIONS = (8, 12, 40), (0.0, 0.3, 0.7)
REAL_PEOPLE = (8, 20)
FID_PEOPLE, FID_FEATURES = (8, 12, 40), 8
# Training again: standard deviation between seeds as a share of half the interval over people, and the deviation of the
# effect of a person and a training together, where a person's own is 1.
SEED_SHARES, TOGETHER, SEEDS = (0.3, 1.0, 2.0), (0.0, 1.0), (1, 2, 3, 5)
OF_PAIR, PAIRS_OF_PERSON = 0.5, 2
# Deviations of the effects of source, driver, two people together, and pair, as measured on columns of the profile
# `puppets`; for same identity the second and third are none.
CROSS: dict[str, Deviations] = {
    "AED, neural codes": (0.003, 0.015, 0, 0.037),
    "AED, geom. disp. + neural codes": (0.0076, 0.0146, 0, 0.038),
    "APD, neural codes": (0.33, 1.3, 0, 2.4),
    "APD, copy source": (2.0, 1.3, 0, 8.4),
    "CSIM, geom. disp. + neural codes": (0.036, 0.022, 0, 0.090),
    "CSIM, copy driving": (0.07, 0.07, 0.4, 0.1),
}
SAME: dict[str, Deviations] = {
    "AKD, neural codes": (0.12, 0, 0, 0.36),
    "L1, geom. disp.": (5.7, 0, 0, 7.1),
    "AED, copy source": (0.021, 0, 0, 0.038),
}
ROWS = {
    "copy source": "controls/copy_source",
    "neural codes": "toy64.puppet.neural_codes",
    "geom. disp.": "toy64.puppet.geom_disp",
    "NMFC": "toy64.puppet.nmfc",
}
DIFFERENCES = (("neural codes", "NMFC"), ("geom. disp.", "NMFC"), ("neural codes", "copy source"))


def design(people: int, task: str) -> Clusters:
    """Who is paired with whom among so many people, as the stage `pairs` draws it."""
    clips = [f"clip{number:03d}" for number in range(people)]
    rows = [{"clip": clip, "dataset": "d", "person": f"p{clip}"} for clip in clips]
    columns = {name: [row.get(name) for row in rows] for name in INDEX.names}
    frames = [(clip, frame, "ok") for clip in clips for frame in range(30)]
    fits = pa.table(dict(zip(("clip", "frame", "status"), map(list, zip(*frames, strict=True)), strict=True)))
    pairs, _ = draw_pairs(pa.table(columns, schema=INDEX), [fits], PairParams(seed=1, per_person=PER_PERSON))
    chosen = [row for row in pairs.to_pylist() if row["task"] == task]
    return Clusters(*([row[f"{role}_person"] for row in chosen] for role in ("source", "driving")))


def normal_table(trials: int) -> list[tuple[str, str, int, float]]:
    """Task, column with its role correlation, people and coverage."""
    found = []
    for people in NORMAL_PEOPLE:
        clusters = design(people, "same")
        for name, deviations in SAME.items():
            found.append(("same", name, people, normal_coverage(clusters, deviations, 0.0, trials, people)))
        clusters = design(people, "cross")
        for name, deviations in CROSS.items():
            for correlation in CORRELATIONS:
                share = normal_coverage(clusters, deviations, correlation, trials, people)
                found.append(("cross", f"{name}, correlation {correlation:g}", people, share))
    return found


def real_table(effects: list[dict[str, Any]], trials: int) -> list[tuple[str, str, str, int, float]]:
    """Task, metric, row, people and coverage, where people are drawn from the effects of real ones."""
    found = []
    for people in REAL_PEOPLE:
        for task in ("same", "cross"):
            clusters = design(people, task)
            for one in (one for one in effects if one["task"] == task):
                share = resampled_coverage(clusters, np.array(one["effects"]), np.array(one["residuals"]), trials)
                found.append((task, one["metric"], one["row"], people, share))
    return found


def fid_table(trials: int, people: Iterable[int] = FID_PEOPLE) -> list[tuple[str, int, float]]:
    """Task, people and coverage of the FID that is expected at this number of pairs, for normal features of people."""
    return [(task, count, _fid_coverage(design(count, task), trials)) for count in people for task in ("same", "cross")]


def _fid_coverage(clusters: Clusters, trials: int) -> float:
    """A row that keeps most of an image, shifts it, and lets the driver through; the truth is the mean over trials."""
    rng = np.random.default_rng(clusters.everyone)
    found = []
    for _ in range(trials):
        of_source, of_driver = rng.standard_normal((2, clusters.everyone, FID_FEATURES))
        reference = of_source[clusters.source] + 0.5 * rng.standard_normal((clusters.num_pairs, FID_FEATURES))
        driver = 0.5 * of_source[clusters.driver] + 0.8 * of_driver[clusters.driver]
        generated = 0.3 + 0.8 * reference + 0.3 * driver + 0.3 * rng.standard_normal(reference.shape)
        found.append(estimate_distance(frechet_distance, generated, reference, clusters, min_people=2))
    expected = np.mean([one.value for one in found])
    return float(np.mean([one.low <= expected <= one.high for one in found]))


def seeds_table(trials: int) -> list[tuple[str, float, float, int, int, float]]:
    """What is estimated, share of the seeds, effect of both together, seeds, people and coverage of the expectation."""
    found = []
    for people in NORMAL_PEOPLE:
        owners = np.repeat(np.arange(people), PAIRS_OF_PERSON)
        clusters = Clusters(owners, owners)
        half = float(quantile(people - 1)) * np.sqrt((1 + OF_PAIR**2 / PAIRS_OF_PERSON) / people)
        for share in SEED_SHARES:
            for kind, rows in (("row", 1), ("difference of two rows", 2)):
                for together in TOGETHER[: 3 - rows]:
                    for count in SEEDS:
                        deviations = (share * half, together, OF_PAIR)
                        covers = seed_coverage(clusters, deviations, [count] * rows, trials, people)
                        found.append((kind, share, together, count, people, covers))
    return found


def take(data: Path) -> list[dict[str, Any]]:
    """Effects of the people of both corpora in every column of some rows and differences, from `data`'s results."""
    pairs = Pairs(data / "pairs.parquet")
    values = {label: _scores(data / "results" / folder / "scores.parquet") for label, folder in ROWS.items()}
    for a, b in DIFFERENCES:
        shared = {key: ids for key, ids in values[a].items() if key in values[b]}
        values[f"{a} - {b}"] = {
            key: {name: value - values[b][key][name] for name, value in ids.items()} for key, ids in shared.items()
        }
    found = []
    for label, columns in values.items():
        for task, metric in dict.fromkeys((task, metric) for _, task, metric in columns):
            parts = [_effects(columns[name, task, metric], pairs, name, task) for name in pairs.datasets]
            effects, residuals = (np.concatenate(part) for part in zip(*parts, strict=True))
            if effects.std() > ROUNDING:  # a copy's similarity to itself is 1 but for rounding
                found.append({"row": label, "task": task, "metric": metric, "effects": _rounded(effects),
                              "residuals": _rounded(residuals)})  # fmt: skip
    return found


def _scores(path: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    table = read_table(path, SCORES)
    names = (table.column(name).to_pylist() for name in ("dataset", "task", "metric", "pair_id"))
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for dataset, task, metric, pair, value in zip(*names, numbers(table.column("value")).tolist(), strict=True):
        found.setdefault((dataset, task, metric), {})[pair] = value
    return found


def _effects(values: dict[str, float], pairs: Pairs, dataset: str, task: str) -> tuple[np.ndarray, np.ndarray]:
    members = pairs.members(dataset, task)
    assert members is not None  # there are scores
    ordered = np.array([values[name] for name in members.ids])
    ok = np.isfinite(ordered)
    return members.clusters.kept(ok).effects(ordered[ok])


def _rounded(values: np.ndarray) -> Any:
    """Four digits of the largest, and of many residuals 61 quantiles, which keep their spread and tails."""
    if values.ndim == 1 and len(values) > 1:
        values = np.quantile(values, np.linspace(0.5 / 61, 1 - 0.5 / 61, 61))
    largest = np.abs(values).max()
    return values.round(max(0, 4 - int(np.ceil(np.log10(largest))))).tolist() if largest else values.tolist()


def markdown(normal: list, real: list, fid: list, seeds: list) -> str:
    """The tables of docs/intervals.md."""
    people = [f"{count} people" for count in NORMAL_PEOPLE]
    lines = ["Normal effects, 93 to 98% asked:", "", _line("task", "effects like those of", *people), _rule(2, 3)]
    for task, name in dict.fromkeys((task, name) for task, name, _, _ in normal):
        lines.append(_line(task, name, *(f"{share:.1%}" for t, n, _, share in normal if (t, n) == (task, name))))
    asked = [f"{count} people, at least {least(count):.0%}" for count in REAL_PEOPLE]
    lines += ["", "Effects of real test people, drawn with replacement; the lowest of the rows and of the differences "
              "of two rows:", "", _line("task", "column", *asked, "below what is asked"), _rule(2, 3)]  # fmt: skip
    for task, metric in dict.fromkeys((task, metric) for task, metric, *_ in real):
        here = [(row, count, share) for t, m, row, count, share in real if (t, m) == (task, metric)]
        lowest = [min(share for _, n, share in here if n == count) for count in REAL_PEOPLE]
        misses = [f"{row} ({count} people)" for row, count, share in here if share < least(count)]
        lines.append(_line(task, f"`{metric}`", *(f"{share:.1%}" for share in lowest), ", ".join(misses)))
    lines += ["", "FID, of the FID that is expected at this number of pairs:", "", _line("task", *people), _rule(1, 3)]
    for task in ("same", "cross"):
        lines.append(_line(task, *(f"{share:.1%}" for t, _, share in fid if t == task)))
    columns = ("number", "sd between seeds / half interval", "person x training", "seeds", *people)
    lines += ["", "The expectation over people and trainings, 93 to 98% asked of 3 seeds and more:", ""]
    lines += [_line(*columns), _rule(1, 6)]
    for kind, share, together, count in dict.fromkeys(one[:4] for one in seeds):
        shares = [f"{one[-1]:.1%}" for one in seeds if one[:4] == (kind, share, together, count)]
        lines.append(_line(kind, f"{share:g}", f"{together:g}", str(count), *shares))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(texts: int, numbers: int) -> str:
    return _line(*[":---"] * texts, *["---:"] * numbers)


def main(
    trials: Annotated[int, typer.Option(min=100, help="data sets drawn for each number")] = 4000,
    fid_trials: Annotated[int, typer.Option(min=20, help="... for each number of FID")] = 200,
    take_from: Annotated[
        Path | None, typer.Option("--take", help="take real people's effects from this data folder, and stop")
    ] = None,
) -> None:
    """Write what the intervals cover into docs/intervals.md."""
    if take_from is not None:
        lines = ",\n".join(json.dumps(one) for one in take(take_from))
        write_text(EFFECTS, f"[\n{lines}\n]\n")
        return
    real = real_table(json.loads(EFFECTS.read_text()), trials)
    made = markdown(normal_table(trials), real, fid_table(fid_trials), seeds_table(trials))
    head, rest = PAGE.read_text().split(START)
    write_text(PAGE, f"{head}{START}\n{made}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    run_command(main)
