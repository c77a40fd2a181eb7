"""The selected row's numbers as one small nested dictionary."""

import math
from pathlib import Path
from typing import Any

from pipeline.report.results import Pairs, Results
from pipeline.report.rows import Row

NO_INTERVALS = 10**9  # more people than any pair list has


def headline_metrics(row: Row, results: Path, pairs: Pairs, head2: str) -> dict[str, Any]:
    """Return {"row": key, data set: {task: {metric: value or None}}}.

    Of a metric with several instruments it is the number that tables print. AED and APD on the second head are called
    `aed_<head2>` and `apd_<head2>`.

    Raises:
        FileNotFoundError: the row has not been evaluated.
    """
    if not (results / row.results / "scores.parquet").exists():
        raise FileNotFoundError(f"no results in {results / row.results}: run the stage `evaluate` for {row.key}")
    found = Results([row], results, pairs, min_people=NO_INTERVALS)
    metrics: dict[str, Any] = {"row": row.key}
    for cell in found.cells():
        if not found.printed(cell.measure):
            continue
        name = f"{cell.measure.name}_{head2}" if cell.measure.head == head2 else cell.measure.name
        value = cell.value if math.isfinite(cell.value) else None
        metrics.setdefault(cell.dataset, {}).setdefault(cell.task, {})[name] = value
    return metrics
