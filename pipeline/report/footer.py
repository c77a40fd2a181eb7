"""What stands under every table: the data behind it, the networks that measured it, and their own error."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.report.results import NOT_EVALUATED, Measured, Results
from pipeline.store.provenance import commit

SHORT = 12


def footer_lines(
    results: Results, fit_reports: Path, heads: Sequence[str], measures: Sequence[Measured], crops: Sequence[str]
) -> list[str]:
    """Footer of a table with these columns; `crops` are the lines about its clips (`pipeline.report.crops`)."""
    lines = [
        _counts(results),
        *crops,
        f"Intervals: 95%, resampled over source people ({results.how.draws} bootstrap draws, seed {results.how.seed}); "
        f"FID by delete-one-person jackknife; none below {results.how.min_people} people.",
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


def _counts(results: Results) -> str:
    parts = []
    for dataset in results.pairs.datasets:
        for task in ("same", "cross"):
            members = results.pairs.members(dataset, task)
            parts.append(f"{dataset} {task} {len(members)} pairs of {len(set(members.values()))} people")
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
