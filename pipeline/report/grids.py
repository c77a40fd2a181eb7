"""The form of Tables 1-3 and of the further columns: which rows and columns stand where, and what is printed bold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.report.results import Cell, Measured, Results
from pipeline.report.rows import COMBINED, Row
from pipeline.report.strata import strata_columns


@dataclass(frozen=True)
class Column:
    """A column: a metric in one task."""

    task: str
    measure: Measured
    header: str


@dataclass(frozen=True)
class Line:
    """A printed row: its cells in the columns' order, None where a column does not concern it."""

    row: Row
    cells: list[Cell | None]
    bold: list[bool]


@dataclass(frozen=True)
class Grid:
    """One data set's part of one table; `blocks` are separated by rules."""

    table: int
    dataset: str
    columns: list[Column]
    blocks: list[list[Line]]


TITLES = {
    1: "Table 1: quantitative results",
    2: "Table 2: additional metrics for same identity reconstruction",
    3: "Table 3: comparison between the two heads",
    4: "Table 4: further columns, which the paper does not have",
}
PAPER_FIRST = ("geom_disp", "neural_codes")  # rows of the paper's Table 2


def table_grids(results: Results, heads: tuple[str, str]) -> dict[int, list[Grid]]:
    """Lay out the tables, one grid a data set."""
    rows = results.rows
    first_five = [row for row in rows if row.kind != "control"]
    controls = [row for row in rows if row.kind == "control"]
    recipe = next(row.recipe for row in rows if row.kind == "pwm")
    head2_first = [row for row in rows if row.kind == "pwm" and row.recipe == recipe and row.guidance == COMBINED]
    paper2 = [
        r for r in rows if r.kind == "pwm" and r.guidance in PAPER_FIRST and r.head == heads[0] and r.recipe == recipe
    ]
    others2 = [row for row in first_five if row not in paper2]
    same_controls = [row for row in controls if "same" in row.tasks]
    layout = {
        1: (table1_columns(results, heads[0]), [first_five, controls]),
        2: (table2_columns(results), [paper2, others2, same_controls]),
        3: (table3_columns(results, heads), [head2_first, controls]),
        4: (table4_columns(results), [first_five, controls]),
    }
    return {
        table: [_grid(results, table, dataset, columns, blocks) for dataset in results.pairs.datasets]
        for table, (columns, blocks) in layout.items()
    }


def table1_columns(results: Results, head: str) -> list[Column]:
    """FID, CSIM, AKD, AED, APD for same identity; the same without AKD for cross identity."""
    names = (("fid", ""), ("csim", ""), ("akd", ""), ("aed", head), ("apd", head))
    measures = [results.measure(name, of) for name, of in names]
    return [_column(task, m) for task in ("same", "cross") for m in measures if task in m.tasks]


def table2_columns(results: Results) -> list[Column]:
    """L1, SSIM, LPIPS, and the distance of feature maps that is not LPIPS; of the last two those that are measured."""
    measured = {measure.name for measure in results.measures}
    names = [name for name in ("l1", "ssim", "lpips", "feature_distance") if name in measured]
    return [_column("same", results.measure(name)) for name in names]


def table3_columns(results: Results, heads: tuple[str, str]) -> list[Column]:
    """AED and APD by the tracker of either head, for both tasks."""
    measures = [results.measure(name, head) for head in heads for name in ("aed", "apd")]
    return [_column(task, m, of_head=True) for task in ("same", "cross") for m in measures]


def table4_columns(results: Results) -> list[Column]:
    """Same identity: PSNR, MS-SSIM, KID, NME and AKD by strata of the yaw gap; cross identity: KID, CSIM to driver."""
    same = [results.measure(name) for name in ("psnr", "ms_ssim", "kid", "nme")] + strata_columns(results)
    cross = [results.measure(name) for name in ("kid", "csim_driver")]
    return [_column("same", m) for m in same] + [_column("cross", m) for m in cross]


def _column(task: str, measure: Measured, of_head: bool = False) -> Column:
    arrow = "↑" if measure.higher_is_better else "↓"
    label = f"{measure.label}[{measure.head}]" if of_head else measure.label
    return Column(task, measure, f"{label} {arrow}")


def _grid(
    results: Results, table: int, dataset: str, columns: Sequence[Column], blocks: Sequence[Sequence[Row]]
) -> Grid:
    best = [_best(results, dataset, column, [row for block in blocks for row in block]) for column in columns]
    lines: list[list[Line]] = []
    for block in blocks:
        lines.append([])
        for row in block:
            cells = [results.cell(dataset, column.task, row, column.measure) for column in columns]
            competes = row.kind != "control"
            bold = [competes and c is not None and _printed(c) == b for c, b in zip(cells, best, strict=True)]
            lines[-1].append(Line(row, cells, bold))
    return Grid(table, dataset, list(columns), [block for block in lines if block])


def _best(results: Results, dataset: str, column: Column, rows: Sequence[Row]) -> float:
    """Best printed value of a column among rows that compete (controls do not); NaN, equal to nothing, if none."""
    cells = [results.cell(dataset, column.task, row, column.measure) for row in rows if row.kind != "control"]
    values = [_printed(cell) for cell in cells if cell is not None and np.isfinite(cell.value)]
    if not values:
        return float("nan")
    return max(values) if column.measure.higher_is_better else min(values)


def _printed(cell: Cell) -> float:
    """The value with the decimals that the table prints: rows that print alike are bold together."""
    return round(cell.value, cell.measure.digits)
