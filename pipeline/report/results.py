"""Reads what `evaluate` wrote and estimates every cell: one number, its interval, or the reason for a dash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.bench.pair_hash import pairs_sha256
from pipeline.metrics.fid import frechet_distance
from pipeline.report.rows import Row
from pipeline.report.stats import Estimate, Resampling, estimate_distance, estimate_mean
from pipeline.store.columns import column_array, numbers
from pipeline.store.schema import PAIRS, SCORES, metadata_of, read_table

NOT_EVALUATED = "not evaluated yet: run the stage `evaluate` for this row"


@dataclass(frozen=True)
class Measured:
    """One column, as described in the scores' metadata (`Measure.describe`)."""

    id: str
    name: str
    label: str
    backend: str
    head: str
    higher_is_better: bool
    digits: int
    of_sets: bool
    tasks: tuple[str, ...]
    weights_sha256: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """One cell: a row in one data set, task and column."""

    dataset: str
    task: str
    row: Row
    measure: Measured
    estimate: Estimate
    reason: str

    @property
    def value(self) -> float:
        """The number, NaN for a dash."""
        return self.estimate.value


class Pairs:
    """The pair list: data sets in order, and who the source of each pair is."""

    def __init__(self, path: Path) -> None:
        table = read_table(path, PAIRS)
        columns = {name: table.column(name).to_pylist() for name in ("pair_id", "dataset", "task", "source_person")}
        self.sha256 = pairs_sha256(table)
        self.datasets = list(dict.fromkeys(columns["dataset"]))
        self._members: dict[tuple[str, str], dict[str, str]] = {}
        for pair_id, dataset, task, person in zip(*columns.values(), strict=True):
            self._members.setdefault((dataset, task), {})[pair_id] = person

    def members(self, dataset: str, task: str) -> dict[str, str]:
        """Pairs of a data set and task: pair id -> source person, in the list's order."""
        return self._members.get((dataset, task), {})


class Result:
    """Scores and features of one method.

    Raises:
        ValueError: it was scored on another pair list than `pairs`.
    """

    def __init__(self, folder: Path, pairs: Pairs) -> None:
        scores = read_table(folder / "scores.parquet", SCORES)
        facts = metadata_of(scores)
        if facts["pairs_sha256"] != pairs.sha256:
            raise ValueError(
                f"{folder} was scored on pair list {facts['pairs_sha256'][:12]}, the list now is {pairs.sha256[:12]}: "
                "run the stage `evaluate` for this row again"
            )
        self.subset_sha256 = facts["subset_sha256"]
        self.measures = [Measured(**{**m, "tasks": tuple(m["tasks"])}) for m in json.loads(facts["measures"])]
        self._scores = _by_key(scores, ("dataset", "task", "metric"), numbers(scores.column("value")))
        features = read_table(folder / "features.parquet")
        self._features = _by_key(features, ("dataset", "task", "role"), column_array(features, "features"))

    def values(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray | None:
        """Scores (N,) of these pairs, or None where this method has none."""
        found = self._scores.get((dataset, task, metric_id))
        return None if found is None else np.array([found[name] for name in pair_ids])

    def features(self, dataset: str, task: str, role: str, pair_ids: Sequence[str]) -> np.ndarray | None:
        """Features (N, D) of these pairs, or None where this method has none."""
        found = self._features.get((dataset, task, role))
        return None if found is None else np.stack([found[name] for name in pair_ids])


class Results:
    """All rows of the tables with what was measured of them.

    Args:
        rows: the row list, in the tables' order.
        folder: `data/results`.
        pairs: the pair list.
        how: how intervals are drawn.

    Raises:
        FileNotFoundError: no row at all has results.
        ValueError: rows were scored with different columns or pairs.
    """

    def __init__(self, rows: Sequence[Row], folder: Path, pairs: Pairs, how: Resampling) -> None:
        self.rows, self.pairs, self.how = list(rows), pairs, how
        self.of_row = {
            row.key: Result(folder / row.results, pairs)
            for row in rows
            if (folder / row.results / "scores.parquet").exists()
        }
        if not self.of_row:
            raise FileNotFoundError(f"no results in {folder}: run the stage `evaluate`")
        first = next(iter(self.of_row.values()))
        self.measures, self.subset_sha256 = first.measures, first.subset_sha256
        for key, result in self.of_row.items():
            if [m.id for m in result.measures] != [m.id for m in self.measures]:
                raise ValueError(f"row {key} was scored with other metrics than the rest: evaluate it again")
        self._cells = {
            (dataset, task, row.key, measure.id): self._cell(dataset, task, row, measure)
            for dataset in pairs.datasets
            for measure in self.measures
            for task in ("same", "cross")
            for row in self.rows
            if task in measure.tasks and task in row.tasks
        }

    def cells(self) -> list[Cell]:
        """Every cell, dashes included."""
        return list(self._cells.values())

    def cell(self, dataset: str, task: str, row: Row, measure: Measured) -> Cell | None:
        """One cell, or None where the row or the column does not stand in this task."""
        return self._cells.get((dataset, task, row.key, measure.id))

    def measure(self, name: str, head: str = "") -> Measured:
        """Column by metric name and head."""
        return next(m for m in self.measures if m.name == name and m.head == head)

    def _cell(self, dataset: str, task: str, row: Row, measure: Measured) -> Cell:
        members = self.pairs.members(dataset, task)
        result = self.of_row.get(row.key)
        reason = ""
        if result is None:
            reason = row.absent or NOT_EVALUATED
        elif measure.reason:
            reason = measure.reason
        elif not members:
            reason = "no pairs"
        if reason or result is None:
            return Cell(dataset, task, row, measure, Estimate(np.nan, np.nan, np.nan, 0, 0, 0), reason)
        estimate = estimate_cell(result, dataset, task, measure, members, self.how)
        failed = "" if np.isfinite(estimate.value) else "no pair could be read"
        return Cell(dataset, task, row, measure, estimate, failed)


def estimate_cell(
    result: Result, dataset: str, task: str, measure: Measured, members: dict[str, str], how: Resampling
) -> Estimate:
    """Estimate one cell from a method's scores, or from its features where the metric compares sets."""
    ids, people = list(members), list(members.values())
    if measure.of_sets:
        generated = result.features(dataset, task, "generated", ids)
        reference = result.features(dataset, task, "reference", ids)
        return estimate_distance(frechet_distance, generated, reference, people, how)
    return estimate_mean(result.values(dataset, task, measure.id, ids), people, how)


def _by_key(table: pa.Table, columns: tuple[str, ...], values: np.ndarray) -> dict[tuple[str, ...], dict]:
    keys = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    groups: dict[tuple[str, ...], dict] = {}
    for key, pair_id, value in zip(keys, table.column("pair_id").to_pylist(), values, strict=True):
        groups.setdefault(key, {})[pair_id] = value
    return groups
