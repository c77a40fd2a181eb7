"""Tables as Markdown and CSV, and every cell in long form."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.report.grids import TITLES, Column, Grid, Line
from pipeline.report.intervals.estimates import Estimate
from pipeline.report.paper import Paper
from pipeline.report.results import Cell

DASH = "–"
RULE = "—"
TASKS = {"same": "same identity", "cross": "cross identity"}
NOT_COMPARABLE = (
    "The paper's numbers, not comparable with those above: other people, other resolution, other networks behind "
    "the metrics."
)
BLOCKS = {
    1: ("methods", "controls"),
    2: ("paper's rows", "other rows", "controls"),
    3: ("heads", "controls"),
    4: ("methods", "controls"),
}


def number(value: float, digits: int) -> str:
    """Print with a fixed number of decimals; a dash for NaN and no minus before zero."""
    if not np.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def cell_text(cell: Cell | None, bold: bool) -> str:
    """A Markdown cell: value, then the interval or the number of people that is too few for one."""
    if cell is None:
        return ""
    estimate, digits = cell.estimate, cell.measure.digits
    if not np.isfinite(estimate.value):
        return DASH
    value = number(estimate.value, digits)
    value = f"**{value}**" if bold else value
    return " ".join(filter(None, [value, interval_text(estimate, digits), lost_text(estimate)]))


def lost_text(estimate: Estimate) -> str:
    """`(2 failed, 5 left out)`: pairs not in the number, by whose image could not be read; empty where all are."""
    counts = ((estimate.n_failed, "failed"), (estimate.n_left_out, "left out"))
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"({said})" if said else ""


def interval_text(estimate: Estimate, digits: int) -> str:
    """`[low, high]`, or `(n=3 people)` where there are too few for an interval."""
    if np.isfinite(estimate.low):
        return f"[{number(estimate.low, digits)}, {number(estimate.high, digits)}]"
    return f"(n={estimate.n_people} people)"


def markdown(grids: Sequence[Grid], paper: Paper, beside: bool, footer: Sequence[str], bench: str) -> str:
    """One table: a section a data set, the paper's numbers beside or below, and the footer."""
    table = grids[0].table
    parts = [f"# {TITLES[table]} ({bench})", ""]
    for grid in grids:
        parts += [f"## {grid.dataset}", "", *_grid_lines(grid, paper if beside else None), ""]
    if not beside and paper.has(table):
        parts += [f"## {NOT_COMPARABLE}", ""]
        for grid in grids:
            if paper.dataset_of(grid):
                parts += [f"### {paper.dataset_of(grid)}, from the paper", "", *_paper_lines(grid, paper), ""]
    return "\n".join([*parts, "---", "", *(f"- {line}" for line in footer), ""])


def _grid_lines(grid: Grid, paper: Paper | None) -> Iterable[str]:
    yield from _header(grid.columns)
    for index, block in enumerate(grid.blocks):
        if index:
            yield _row([RULE, *[""] * len(grid.columns)])
        for line in block:
            yield _row([line.row.label, *(cell_text(c, b) for c, b in zip(line.cells, line.bold, strict=True))])
            printed = _printed(grid, line, paper) if paper else []
            if any(printed):
                yield _row([f"{line.row.label}, paper", *printed])


def _printed(grid: Grid, line: Line, paper: Paper) -> list[str]:
    return [paper.of_cell(grid, column, line.row) for column in grid.columns]


def _paper_lines(grid: Grid, paper: Paper) -> Iterable[str]:
    yield from _header(grid.columns)
    for method in paper.methods[grid.table]:
        yield _row([method, *(paper.look_up(grid, column, method) for column in grid.columns)])


def _header(columns: Sequence[Column]) -> Iterable[str]:
    yield _row(["", *(f"{TASKS[c.task]}<br>{c.header}" for c in columns)])
    yield _row([":---", *["---:"] * len(columns)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table_csv(grids: Sequence[Grid]) -> str:
    """One table as CSV: a line a row and data set, columns `task metric-id`; `-` is a dash (see scores.csv)."""
    columns = [f"{column.task} {column.measure.id}" for column in grids[0].columns]
    lines = [["dataset", "block", "method", "row", *columns]]
    for grid in grids:
        for name, block in zip(BLOCKS[grid.table], grid.blocks, strict=False):
            for line in block:
                values = ["" if c is None else plain(c.value) or "-" for c in line.cells]
                lines.append([grid.dataset, name, line.row.label, line.row.key, *values])
    return csv_text(lines)


def scores_csv(cells: Iterable[Cell]) -> str:
    """Every cell in long form, dashes included: an empty value and its reason."""
    head = "dataset task method row metric value ci_low ci_high n n_failed n_left_out n_seeds seed_sd backend reason"
    lines = [head.split()]
    for cell in cells:
        e, m = cell.estimate, cell.measure
        numbers = [plain(e.value), plain(e.low), plain(e.high), str(e.n), str(e.n_failed), str(e.n_left_out)]
        numbers += [str(e.n_seeds), plain(e.seed_sd)]
        lines.append([cell.dataset, cell.task, cell.row.label, cell.row.key, m.id, *numbers, m.backend, cell.reason])
    return csv_text(lines)


def plain(value: float) -> str:
    """Six significant digits, empty for NaN."""
    return f"{value:.6g}" if np.isfinite(value) else ""


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Lines as CSV, the same bytes on every system."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()
