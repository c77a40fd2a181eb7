"""Each row against rows that were named beforehand, with paired intervals and p-values, Holm within a family.

A family is one column (data set, task, metric) against one reference: all rows that compete and have a number there.
No row is picked by its numbers, so that p means what it says.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.report.intervals.estimates import Estimate, holm, paired_difference, paired_distance_difference
from pipeline.report.results import Cell, Members, Results
from pipeline.report.rows import Row
from pipeline.report.tables import csv_text, plain

HEAD = (
    "dataset task method row reference reference_row metric difference ci_low ci_high n n_seeds seed_sd p p_holm "
    "family family_size"
)


def differences_csv(results: Results, references: Sequence[Row]) -> str:
    """All families of the benchmark; `family_size` counts the p-values, p is empty where there is no interval."""
    lines = [HEAD.split()]
    columns: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in results.cells():
        if np.isfinite(cell.value):
            columns.setdefault((cell.dataset, cell.task, cell.measure.id), {})[cell.row.key] = cell
    for (dataset, task, metric), cells in columns.items():
        shared = results.shared(dataset, task, next(iter(cells.values())).measure)
        assert shared is not None  # a cell has a number
        members = shared[0]
        for reference in references:
            if reference.key in cells:
                name = f"{dataset} {task} {metric} against {reference.label}"
                for row, e, p_holm, size in _family(results, members, cells, reference):
                    numbers = [plain(e.value), plain(e.low), plain(e.high), str(e.n), str(e.n_seeds), plain(e.seed_sd)]
                    tested = [plain(e.p), plain(p_holm), name, str(size)]
                    names = [row.label, row.key, reference.label, reference.key]
                    lines.append([dataset, task, *names, metric, *numbers, *tested])
    return csv_text(lines)


def _family(
    results: Results, members: Members, cells: dict[str, Cell], reference: Row
) -> list[tuple[Row, Estimate, float, int]]:
    """Row, difference, Holm's p and the family's size of each row in one column against one reference."""
    others = [cell for key, cell in cells.items() if cell.row.kind != "control" and key != reference.key]
    found = [_difference(results, members, cell, reference) for cell in others]
    p_values = np.array([e.p for e in found])
    tested = np.isfinite(p_values)
    adjusted = np.full(len(found), np.nan)
    adjusted[tested] = holm(p_values[tested])
    size = int(tested.sum())
    return [(cell.row, e, p, size) for cell, e, p in zip(others, found, adjusted.tolist(), strict=True)]


def _difference(results: Results, members: Members, cell: Cell, reference: Row) -> Estimate:
    ids, where = members.ids, (cell.dataset, cell.task, cell.measure.id)
    a, b = results.of_row[cell.row.key], results.of_row[reference.key]
    if cell.measure.of_sets:
        of_a, of_b = (one.features(*where, ids) for one in (a, b))
        return paired_distance_difference(
            cell.measure.distance, of_a, of_b, a.reference(*where, ids), members.clusters, results.min_people
        )
    values_a, values_b = (one.values(*where, ids) for one in (a, b))
    return paired_difference(values_a, values_b, members.clusters, results.min_people)
