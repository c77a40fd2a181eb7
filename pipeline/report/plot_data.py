"""What `dvc plots` draws of the rows: every column side by side, a line a row, data set and task."""

from collections.abc import Iterable

import numpy as np

from pipeline.report.results import Cell
from pipeline.report.tables import csv_text, plain

MAY_BE_NULL = ("lpips",)  # drawn under every profile, measured where the profile asks for it


def rows_csv(cells: Iterable[Cell], head: str) -> str:
    """Every row that has a number: `dataset,task,method,row`, then each metric with its interval.

    A column is called by the metric alone, so that dvc.yaml names it under every profile: `fid`, `fid_low`,
    `fid_high`. AED and APD on the second head are `aed_<head>` and `apd_<head>`, as in metrics.json. Where a metric
    has several backends the first stands, as in the tables. What was not measured is empty, a metric that dvc.yaml
    draws and the profile does without included.

    Args:
        cells: the cells of all rows.
        head: the first head.

    Returns:
        The CSV's text: data sets, tasks and rows in the cells' order.
    """
    names: list[str] = []
    lines: dict[tuple[str, str, str, str], dict[str, Cell]] = {}
    for cell in cells:
        measure = cell.measure
        name = measure.name if measure.head in ("", head) else f"{measure.name}_{measure.head}"
        if name not in names:
            names.append(name)
        where = (cell.dataset, cell.task, cell.row.label, cell.row.key)
        lines.setdefault(where, {}).setdefault(name, cell)
    names += [name for name in MAY_BE_NULL if name not in names]
    head_line = [
        "dataset",
        "task",
        "method",
        "row",
        *(f"{name}{end}" for name in names for end in ("", "_low", "_high")),
    ]
    measured = {where: line for where, line in lines.items() if any(np.isfinite(c.value) for c in line.values())}
    return csv_text(
        [head_line, *([*where, *(text for name in names for text in _texts(line.get(name)))]
                      for where, line in measured.items())]
    )  # fmt: skip


def _texts(cell: Cell | None) -> tuple[str, str, str]:
    """Value and interval, or three empty texts where the metric does not stand in this task."""
    if cell is None:
        return "", "", ""
    estimate = cell.estimate
    return plain(estimate.value), plain(estimate.low), plain(estimate.high)
