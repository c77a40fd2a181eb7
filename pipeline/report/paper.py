"""The paper's Tables 1-3 (reports/paper.csv), to stand beside or below ours."""

import csv
from dataclasses import dataclass
from pathlib import Path

from pipeline.report.grids import Column, Grid
from pipeline.report.rows import Row

PAPER_HEADS = ("flame", "bfm")
FIRST, SECOND = " (FLAME)", " (BFM)"  # how the paper's Table 3 tells its two heads apart


@dataclass(frozen=True)
class PaperNumber:
    """One number of the paper, as printed there."""

    table: int
    dataset: str
    task: str
    method: str
    metric: str
    value: str


def read_paper(path: Path) -> list[PaperNumber]:
    """Read reports/paper.csv."""
    with Path(path).open(newline="") as stream:
        return [PaperNumber(int(line.pop("table")), **line) for line in csv.DictReader(stream)]


class Paper:
    """Looks the paper's numbers up by what they are called here.

    Args:
        numbers: all numbers.
        datasets: our data sets in order; the first stands for VoxCeleb1, the second for VoxCeleb2.
        heads: our heads in order; the first stands for FLAME, the second for BFM.
    """

    def __init__(self, numbers: list[PaperNumber], datasets: list[str], heads: tuple[str, str]) -> None:
        self.names = list(dict.fromkeys(n.dataset for n in numbers))
        self._dataset = dict(zip(datasets, self.names, strict=False))
        self._head = dict(zip(heads, PAPER_HEADS, strict=True))
        self._value = {(n.table, n.dataset, n.task, n.method, n.metric): n.value for n in numbers}
        self.methods = {t: list(dict.fromkeys(n.method for n in numbers if n.table == t)) for t in (1, 2, 3)}

    def has(self, table: int) -> bool:
        """Whether the paper has this table."""
        return table in self.methods

    def of_cell(self, grid: Grid, column: Column, row: Row) -> str:
        """The paper's number for one of our cells, empty where the paper has none."""
        of_first = grid.table == 3 and row.paper and not row.paper.endswith(SECOND)
        return self.look_up(grid, column, row.paper + FIRST * bool(of_first))

    def look_up(self, grid: Grid, column: Column, method: str) -> str:
        """The paper's number for a column of ours and a method of the paper's, or an empty text."""
        measure = column.measure
        metric = f"{measure.name}[{self._head[measure.head]}]" if grid.table == 3 else measure.name
        dataset = self._dataset.get(grid.dataset, "")
        return self._value.get((grid.table, dataset, column.task, method, metric), "")

    def dataset_of(self, grid: Grid) -> str:
        """The paper's data set in whose place this grid stands."""
        return self._dataset.get(grid.dataset, "")
