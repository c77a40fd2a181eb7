"""Reads what `evaluate` wrote and estimates every cell: one number, its interval, or the reason for a dash."""

import json
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.bench.features import AGAIN, Features, NotMeasured, refuse_unnamed
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.kid import kernel_distance
from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.estimates import Estimate, estimate_distance, estimate_mean
from pipeline.report.rows import NOT_EVALUATED, Row
from pipeline.report.shared_pairs import SharedPairs, shared_pairs
from pipeline.store.columns import numbers
from pipeline.store.schema import PAIRS, SCORES, metadata_of, read_table
from pipeline.store.seeds import seed_folders

DISTANCES = {"fid": frechet_distance, "kid": kernel_distance}
UNBIASED = {"kid"}  # may be below zero
NONE_READ = "no pair could be read"
NONE_SHARED = "no pair could be read in every row"
YAW_GAP = "yaw_gap"  # no column: it sorts pairs into strata


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
    features_of: str = ""  # of a metric of sets: the metric whose stored features it compares

    @property
    def distance(self) -> Callable[[np.ndarray, np.ndarray], float]:
        """What it measures between two sets of features; of a metric of sets."""
        return DISTANCES[self.name]

    @property
    def least(self) -> float:
        """What an interval does not go below; of a metric of sets."""
        return -np.inf if self.name in UNBIASED else 0.0


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


@dataclass(frozen=True)
class Members:
    """The pairs of a data set and task, in the list's order: their ids, and the people behind each."""

    ids: list[str]
    clusters: Clusters

    def kept(self, here: np.ndarray) -> "Members":
        """Some of them, by a mask (N,)."""
        if here.all():
            return self
        return Members([name for name, kept in zip(self.ids, here, strict=True) if kept], self.clusters.kept(here))


class Pairs:
    """The pair list: data sets in order, and who the people of each pair are."""

    def __init__(self, path: Path) -> None:
        table = read_table(path, PAIRS)
        names = ("pair_id", "dataset", "task", "source_person", "driving_person")
        columns = {name: table.column(name).to_pylist() for name in names}
        self.sha256 = pairs_sha256(table)
        self.datasets = list(dict.fromkeys(columns["dataset"]))
        groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
        for pair_id, dataset, task, source, driver in zip(*columns.values(), strict=True):
            groups.setdefault((dataset, task), []).append((pair_id, source, driver))
        self._members: dict[tuple[str, str], Members] = {}
        for where, group in groups.items():
            ids, sources, drivers = (list(column) for column in zip(*group, strict=True))
            self._members[where] = Members(ids, Clusters(sources, drivers))

    def members(self, dataset: str, task: str) -> Members | None:
        """Pairs of a data set and task; None where there is none."""
        return self._members.get((dataset, task))


class SeedResult:
    """Scores and features of one seed of a method: a folder.

    Raises:
        ValueError: it was scored on another pair list than `pairs`, or by an earlier version.
    """

    def __init__(self, folder: Path, pairs: Pairs) -> None:
        refuse_unnamed(folder)
        self.folder = folder
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
        of_sets = [m for m in self.measures if m.of_sets]
        stored = {(m.name, m.backend): m.id for m in of_sets}
        self._stored = {m.id: stored[m.features_of or m.name, m.backend] for m in of_sets}
        self._features: dict[str, Features] = {}

    def reason(self, metric_id: str) -> str:
        """Why this method has no number in a column; empty where its instrument ran."""
        return next(measure.reason for measure in self.measures if measure.id == metric_id)

    def values(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Scores (N,) of these pairs.

        Raises:
            NotMeasured: there are none of some pairs.
        """
        found = self._scores.get((dataset, task, metric_id), {})
        lost = [name for name in pair_ids if name not in found]
        if lost:
            raise NotMeasured(
                f"{self.folder} lacks {metric_id} of {len(lost)} of {len(pair_ids)} pairs of {dataset} {task}, "
                f"first {lost[0]}: {AGAIN}"
            )
        return np.array([found[name] for name in pair_ids])

    def features(self, dataset: str, task: str, metric_id: str, role: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Features (N, D) of these pairs, read from the file.

        Raises:
            NotMeasured: those of some pairs are not there.
        """
        stored = self._stored[metric_id]
        if stored not in self._features:
            self._features[stored] = Features(self.folder, stored)
        return self._features[stored].of_set(dataset, task, role, pair_ids)


class SeedFeatures(Sequence[np.ndarray]):
    """Features (N, D) of some pairs of every seed; held is what is asked for at the moment."""

    def __init__(self, readers: Sequence[Callable[[], np.ndarray]]) -> None:
        self._readers = readers

    def __len__(self) -> int:
        return len(self._readers)

    def __getitem__(self, seed: Any) -> Any:
        return self._readers[seed]()


class Result:
    """Scores and features of one method, of every seed that it was trained with; the first lies in the folder itself.

    Raises:
        ValueError: a seed was scored on another pair list than `pairs`, with other columns than the first, or by an
            earlier version.
    """

    def __init__(self, folder: Path, pairs: Pairs) -> None:
        self.seeds = [SeedResult(one, pairs) for one in seed_folders(folder)]
        first = self.seeds[0]
        self.subset_sha256, self.measures = first.subset_sha256, first.measures
        for other in self.seeds[1:]:
            _same_columns(str(other.folder), other.measures, first.measures)

    def alone(self) -> list["Result"]:
        """Each seed as if it were the only one."""
        found = [copy(self) for _ in self.seeds]
        for one, seed in zip(found, self.seeds, strict=True):
            one.seeds = [seed]
        return found

    def reason(self, metric_id: str) -> str:
        """Why this method has no number in a column; empty where its instrument ran for every seed."""
        return next(filter(None, (one.reason(metric_id) for one in self.seeds)), "")

    def values(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Scores (seeds, N) of these pairs.

        Raises:
            NotMeasured: there are none of some pairs.
        """
        return np.stack([one.values(dataset, task, metric_id, pair_ids) for one in self.seeds])

    def features(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> SeedFeatures:
        """Features (N, D) of the images that every seed generated for these pairs.

        Raises:
            NotMeasured: when they are read, if those of some pairs are not there.
        """
        where = (dataset, task, metric_id, "generated", pair_ids)
        return SeedFeatures([partial(one.features, *where) for one in self.seeds])

    def reference(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Features (N, D) of the images that these pairs are compared with.

        Raises:
            NotMeasured: those of some pairs are not there.
        """
        return self.seeds[0].features(dataset, task, metric_id, "reference", pair_ids)


class Results:
    """All rows of the tables with what was measured of them.

    `num_seeds` is how many seeds our rows were trained with. `measures` are all columns in the order of params.yaml,
    each described as by a row that could be measured, if any could; where a metric has several, tables print the first.

    Args:
        rows: the row list, in the tables' order.
        folder: `data/results`.
        pairs: the pair list.
        min_people: with fewer people a cell has no interval.

    Raises:
        FileNotFoundError: no row at all has results.
        ValueError: rows were scored with different columns or pairs, or trained with different numbers of seeds.
    """

    def __init__(self, rows: Sequence[Row], folder: Path, pairs: Pairs, min_people: int) -> None:
        self.rows, self.pairs, self.min_people = list(rows), pairs, min_people
        self.of_row = {
            row.key: Result(folder / row.results, pairs)
            for row in rows
            if (folder / row.results / "scores.parquet").exists()
        }
        if not self.of_row:
            raise FileNotFoundError(f"no results in {folder}: run the stage `evaluate`")
        first = next(iter(self.of_row.values()))
        self.subset_sha256 = first.subset_sha256
        for key, result in self.of_row.items():
            _same_columns(f"row {key}", result.measures, first.measures)
        ours = [row.key for row in rows if row.kind == "pwm" and row.key in self.of_row]
        counts = {key: len(self.of_row[key].seeds) for key in ours}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{key} {count}" for key, count in counts.items())
            raise ValueError(f"rows have results of different numbers of seeds ({said}): `dvc repro` makes them alike")
        self.num_seeds = max(counts.values(), default=1)
        columns = zip(*(result.measures for result in self.of_row.values()), strict=True)
        self.measures = [next((m for m in of_rows if not m.reason), of_rows[0]) for of_rows in columns]
        self._shared: dict[tuple[str, str, str], SharedPairs] = {}
        self._cells: dict[tuple[str, str, str, str], Cell] = {
            (dataset, task, row.key, measure.id): self._cell(dataset, task, row, measure)
            for dataset in pairs.datasets
            for measure in self.measures
            if measure.name != YAW_GAP
            for task in ("same", "cross")
            for row in self.rows
            if task in measure.tasks and task in row.tasks
        }
        self._strata: dict[tuple[str, str, str, str], Cell] = {}

    def shared(self, dataset: str, task: str, measure: Measured) -> tuple[Members, SharedPairs] | None:
        """The pairs that a column compares all rows on, and which those are; None where there are no pairs."""
        members, where = self.pairs.members(dataset, task), (dataset, task, measure.id)
        if members is None:
            return None
        if where not in self._shared:
            rows = {row.key: self.of_row[row.key] for row in self.rows if task in row.tasks and row.key in self.of_row}
            self._shared[where] = shared_pairs(rows, *where, measure.of_sets, members.ids)
        found = self._shared[where]
        return members.kept(found.here), found

    def cells(self) -> list[Cell]:
        """Every cell, dashes included."""
        return list(self._cells.values())

    def cell(self, dataset: str, task: str, row: Row, measure: Measured) -> Cell | None:
        """One cell, or None where the row or the column does not stand in this task."""
        where = (dataset, task, row.key, measure.id)
        return self._cells.get(where) or self._strata.get(where)

    def strata(self) -> list[Cell]:
        """Cells of parts of columns, which only the further columns show."""
        return list(self._strata.values())

    def keep_strata(self, cells: Iterable[Cell]) -> None:
        """Remember cells of parts of columns."""
        self._strata = {(cell.dataset, cell.task, cell.row.key, cell.measure.id): cell for cell in cells}

    def measure(self, name: str, head: str = "") -> Measured:
        """Column that tables print, by metric name and head: the first of the metric's instruments."""
        return next(m for m in self.measures if m.name == name and m.head == head)

    def printed(self, measure: Measured) -> bool:
        """Whether tables print this column."""
        return measure == self.measure(measure.name, measure.head)

    def further(self, measures: Sequence[Measured]) -> list[Measured]:
        """Columns of other instruments beside these, of the same metrics and heads."""
        shown = {(m.name, m.head) for m in measures}
        return [m for m in self.measures if (m.name, m.head) in shown and m not in measures]

    def _cell(self, dataset: str, task: str, row: Row, measure: Measured) -> Cell:
        shared, result = self.shared(dataset, task, measure), self.of_row.get(row.key)
        try:
            if result is None:
                raise NotMeasured(row.absent or NOT_EVALUATED)
            if reason := result.reason(measure.id):
                raise NotMeasured(reason)
            if shared is None:
                raise NotMeasured("no pairs")
            members, pairs = shared
            if row.key not in pairs.failed:  # scores of some pairs are not there: reading all says which
                members = self.pairs.members(dataset, task) or members
            estimate = estimate_cell(result, dataset, task, measure, members, self.min_people)
            estimate = replace(estimate, n_failed=pairs.failed[row.key], n_left_out=pairs.left_out(row.key))
        except NotMeasured as why:
            return Cell(dataset, task, row, measure, Estimate(np.nan, np.nan, np.nan, 0, 0, 0), str(why))
        failed = "" if np.isfinite(estimate.value) else NONE_READ if estimate.n_left_out == 0 else NONE_SHARED
        return Cell(dataset, task, row, measure, estimate, failed)


def estimate_cell(
    result: Result, dataset: str, task: str, measure: Measured, members: Members, min_people: int
) -> Estimate:
    """Estimate one cell from a method's scores, or from its features where the metric compares sets.

    Raises:
        NotMeasured: scores or features are not there.
    """
    ids = members.ids
    if measure.of_sets:
        where = (dataset, task, measure.id, ids)
        return estimate_distance(
            measure.distance,
            result.features(*where),
            result.reference(*where),
            members.clusters,
            min_people,
            measure.least,
        )
    return estimate_mean(result.values(dataset, task, measure.id, ids), members.clusters, min_people)


def _same_columns(who: str, measures: Sequence[Measured], wanted: Sequence[Measured]) -> None:
    if [m.id for m in measures] != [m.id for m in wanted]:
        raise ValueError(f"{who} was scored with other metrics than the rest: evaluate it again")


def _by_key(table: pa.Table, columns: tuple[str, ...], values: np.ndarray) -> dict[tuple[str, ...], dict]:
    keys = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    groups: dict[tuple[str, ...], dict] = {}
    for key, pair_id, value in zip(keys, table.column("pair_id").to_pylist(), values, strict=True):
        groups.setdefault(key, {})[pair_id] = value
    return groups
