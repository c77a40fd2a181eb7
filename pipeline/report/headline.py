"""The selected row's numbers as one small nested dictionary."""

import math
from pathlib import Path
from typing import Any

from pipeline.bench.tasks import TASKS
from pipeline.report.results import Pairs, Results
from pipeline.report.rows import Row
from pipeline.report.tables import cell_text

NO_INTERVALS = 10**9  # more people than any pair list has
SHOWN = ("fid", "csim", "akd", "aed", "apd", "l1", "ssim", "lpips")  # of Tables 1 and 2, in their order


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


def headline_text(row: Row, results: Path, pairs: Pairs, head: str, min_people: int) -> str:
    """The row's numbers in the columns of Tables 1 and 2, a line each, with their 95% intervals.

    Args:
        row: the row.
        results: folder of results.
        pairs: the pair list.
        head: the head that Table 1 measures AED and APD on.
        min_people: with fewer people there is no interval (`report.min_people`).

    Raises:
        FileNotFoundError: the row has not been evaluated.
    """
    if not (results / row.results / "scores.parquet").exists():
        raise FileNotFoundError(f"no results in {results / row.results}: run the stage `evaluate` for {row.key}")
    found = Results([row], results, pairs, min_people)
    lines = [f"{row.label} ({row.key}); 95% intervals over people"]
    for dataset in pairs.datasets:
        for task in TASKS:
            cells = [c for c in found.cells() if (c.dataset, c.task) == (dataset, task) and found.printed(c.measure)]
            first = {c.measure.name: c for c in cells if c.measure.head in ("", head)}
            shown = [f"{name.upper()} {cell_text(first[name], bold=False)}" for name in SHOWN if name in first]
            lines.append(f"  {dataset}, {task} identity: {', '.join(shown)}")
    return "\n".join(lines)
