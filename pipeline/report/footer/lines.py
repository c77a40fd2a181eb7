"""What stands under every table: the data behind it, the networks that measured it, and their own error."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.report.grids import Column
from pipeline.report.intervals.coverage import least, resampled_coverage
from pipeline.report.intervals.estimates import Estimate
from pipeline.report.results import Measured, Results
from pipeline.report.rows import COPY_SOURCE, NOT_EVALUATED, Row
from pipeline.store.provenance import commit

SHORT = 12
ROUNDING = 1e-9
BIASED = (
    "FID is biased upward: it falls towards the population's as pairs grow. Its intervals are for the FID that is "
    "expected at this number of pairs; compare it with FIDs at the same number only."
)
ZERO = (
    "FID of `copy source` is 0 and says nothing: for same identity pairs stand in both directions, so that the sources "
    "and the targets are the same images; for cross identity the reference is the source image itself."
)
FURTHER = {
    "psnr": "PSNR: mean over pairs, in dB; a pair of equal frames counts as 100.",
    "kid": "KID: unbiased, by the polynomial kernel on FID's features of all pairs (n in scores.csv); zero on average "
    "for independent sets of one kind, below zero where images belong together in pairs, the more so the fewer there "
    "are.",
    "nme": "NME: percent of the distance between the reference's outer eye corners.",
    "akd_yaw_0_10": "AKD by yaw gap: pairs by the difference of the source's and the target's yaw, as APD's first "
    "tracker reads it; n of each stratum in scores.csv.",
    "csim_driver": "CSIM to driver: how much of the driving person is in the result; `copy source` shows what the two "
    "people share.",
}


def footer_lines(
    results: Results,
    fit_reports: Path,
    heads: Sequence[str],
    columns: Sequence[Column],
    crops: Sequence[str],
    training: Sequence[str],
    coverage_draws: int,
) -> list[str]:
    """Footer of a table with these columns.

    Args:
        results: all rows.
        fit_reports: folder of the fit stage's reports, one JSON a head.
        heads: the benchmark's heads.
        columns: the table's.
        crops: the lines about its clips (`pipeline.report.footer.crops`).
        training: what the intervals say of training again (`pipeline.report.footer.training`).
        coverage_draws: times that people are drawn anew to see whether the intervals cover.
    """
    measures = list(dict.fromkeys(column.measure for column in columns))
    lines = [
        _counts(results),
        *crops,
        f"Intervals: 95%, by Student's t over people, who are the unit in either role; FID by delete-one-person "
        f"jackknife; none below {results.min_people} people.",
        *training,
        *_misses(results, columns, coverage_draws),
        *_of_fid(results, measures),
        *(text for name, text in FURTHER.items() if any(m.name == name and not m.reason for m in measures)),
        f"Clips (subset) {results.subset_sha256[:SHORT]}, pairs {results.pairs.sha256[:SHORT]}, commit {commit()}.",
        "Measured on saved 8-bit frames by: " + "; ".join(_backend(m) for m in measures if not m.reason) + ".",
    ]
    lines += [_noise_floor(fit_reports / f"{head}.json", head) for head in heads]
    if further := results.further(measures):
        lines.append("Further instruments in scores.csv: " + "; ".join(_further(m) for m in further) + ".")
    reasons: dict[str, list[str]] = {}
    for measure in measures:
        if measure.reason:
            reasons.setdefault(measure.reason, []).append(measure.id)
    lines += [f"Dash in {', '.join(ids)}: {reason}." for reason, ids in reasons.items()]
    absent: dict[str, list[str]] = {}
    for row in results.rows:
        if row.key not in results.of_row:
            absent.setdefault(row.absent or NOT_EVALUATED, []).append(row.label)
    return lines + [f"Dashes in rows {', '.join(labels)}: {reason}." for reason, labels in absent.items()]


def _misses(results: Results, columns: Sequence[Column], draws: int) -> list[str]:
    """One line a column whose intervals cover less than they must where the column's own people are drawn anew."""
    lines = []
    for dataset in results.pairs.datasets:
        for column in columns:
            found = {}
            for row in results.rows:
                share, least_share = _coverage(results, dataset, column, row, draws)
                if share < least_share:
                    found[row.label] = share, least_share
            if found:
                worst = min(found, key=lambda label: found[label][0])
                lines.append(
                    f"Intervals of {dataset} {column.task} {column.measure.id} are too narrow for some rows: where "
                    f"its own people are drawn anew they cover {found[worst][0]:.0%} ({worst}; at least "
                    f"{found[worst][1]:.0%} is asked)."
                )
    return lines


def _coverage(results: Results, dataset: str, column: Column, row: Row, draws: int) -> tuple[float, float]:
    """Coverage of one cell's interval, and what is asked.

    (1, 0) where there is no interval of a mean, or no spread, or where the column is a part of another.
    """
    cell = results.cell(dataset, column.task, row, column.measure)
    if cell is None or column.measure not in results.measures or column.measure.of_sets:
        return 1.0, 0.0
    shared = results.shared(dataset, column.task, column.measure)
    if shared is None or not _has_width(cell.estimate):
        return 1.0, 0.0
    members = shared[0]
    values = results.of_row[row.key].values(dataset, column.task, column.measure.id, members.ids).mean(0)
    ok = np.isfinite(values)
    clusters = members.clusters.kept(ok)
    share = resampled_coverage(clusters, *clusters.effects(values[ok]), trials=draws)
    return share, least(clusters.num_people)


def _has_width(estimate: Estimate) -> bool:
    """Whether there is an interval of more than rounding, which a copy's similarity to itself has as well."""
    return estimate.high - estimate.low > ROUNDING * max(1.0, abs(estimate.value))


def _of_fid(results: Results, measures: Sequence[Measured]) -> list[str]:
    """How FID is to be read, where it stands in the table."""
    if not any(measure.name == "fid" and not measure.reason for measure in measures):
        return []
    lines = [BIASED]
    return [*lines, ZERO] if COPY_SOURCE in results.of_row else lines


def _counts(results: Results) -> str:
    parts = []
    for dataset in results.pairs.datasets:
        for task in ("same", "cross"):
            members = results.pairs.members(dataset, task)
            pairs, people = (len(members.ids), len(np.unique(members.clusters.source))) if members else (0, 0)
            parts.append(f"{dataset} {task} {pairs} pairs of {people} people")
    return "n: " + ", ".join(parts) + "; pairs that an instrument could not read are counted in scores.csv."


def _backend(measure: Measured) -> str:
    weights = f" weights {measure.weights_sha256[:SHORT]}" if measure.weights_sha256 else ""
    return f"{measure.id}{weights}"


def _further(measure: Measured) -> str:
    return f"{measure.id}, a dash: {measure.reason}" if measure.reason else _backend(measure)


def _noise_floor(path: Path, head: str) -> str:
    """The tracker's own error against the truth, where the fit stage could measure it."""
    if not path.exists():
        return f"Tracker noise floor on {head}: not measured."
    report = json.loads(path.read_text())
    floor = report.get("noise_floor")
    if floor is None:
        return f"Tracker noise floor on {head}: no truth to measure it against."
    aed, apd = floor["aed"], floor["apd_deg"]
    return f"Tracker noise floor on {head}, against the truth: AED {aed:.3f}, APD {apd:.3f} degrees."
