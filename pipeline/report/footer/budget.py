"""What the footer says of rows whose budget was too short to beat copying, and of what a longer one does."""

import json
from pathlib import Path

import numpy as np

from pipeline.report.results import Results
from pipeline.report.rows import COPY_SOURCE, Row

METRIC = "l1"


def longer_file(reference: Path, bench: str) -> Path:
    """Where `python -m benchmarks.longer` puts the curves of a profile's rows at a longer budget."""
    return reference / f"longer-{bench}.json"


def short_of(results: Results) -> dict[str, tuple[Row, list[str]]]:
    """Trained rows that copying the source beats in L1 for the same identity, by key, with the data sets."""
    measure = results.measure(METRIC)
    found: dict[str, tuple[Row, list[str]]] = {}
    copies = [row for row in results.rows if row.key == COPY_SOURCE]
    for row in (row for row in results.rows if row.trained_here and copies):
        for dataset in results.pairs.datasets:
            own, copied = (results.cell(dataset, "same", one, measure) for one in (row, copies[0]))
            values = [np.nan if cell is None else cell.value for cell in (own, copied)]
            if values[0] >= values[1]:
                found.setdefault(row.key, (row, []))[1].append(dataset)
    return found


def budget_lines(results: Results, reference: Path, bench: str) -> list[str]:
    """One line where there are such rows: which, and where their curves at a longer budget are."""
    found = short_of(results)
    if not found:
        return []
    rows = ", ".join(f"{row.label} ({' and '.join(datasets)})" for row, datasets in found.values())
    file = longer_file(reference, bench)
    study = json.loads(file.read_text()) if file.is_file() else {"rows": {}}
    there = [key for key in found if key in study["rows"]]
    curves = []
    if there:
        labels = ", ".join(found[key][0].label for key in there)
        curves = [f"curves of {labels} at {study['times']} times the iterations: {file.stem}.md in reports/reference"]
    if lacking := [row.label for key, (row, _) in found.items() if key not in there]:
        labels = ", ".join(lacking)
        curves.append(f"what more do for {labels} is not on record: `python -m benchmarks.longer` finds out")
    return [f"In this budget `copy source` is better in L1 than {rows}; {'; '.join(curves)}."]
