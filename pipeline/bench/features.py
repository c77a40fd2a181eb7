"""Features of a method's images, for metrics of sets: one file a column, since instruments differ in width."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store.columns import column_array, vector_column
from pipeline.store.provenance import plain_path
from pipeline.store.schema import TableWriter, features_schema, read_table

FOLDER = "features"
UNNAMED = "features.parquet"  # of earlier versions: one instrument, which the rows do not name
AGAIN = "run `dvc repro evaluate controls` again"


class PairColumns(Protocol):
    """N pairs, a column each."""

    @property
    def pair_id(self) -> np.ndarray:
        """Names of the pairs (N,)."""

    @property
    def dataset(self) -> np.ndarray:
        """The data set of each (N,)."""

    @property
    def task(self) -> np.ndarray:
        """`same` or `cross` (N,)."""


class NotMeasured(ValueError):
    """A method lacks what a column is computed from; the message is the reason that stands beside its dash."""


def features_file(results: Path, metric_id: str) -> Path:
    """File of a column in a method's folder of results, e.g. `features/fid.puppet_judge.parquet`."""
    name = re.sub(r"[^\w+-]+", ".", metric_id).strip(".")
    return results / FOLDER / f"{name}.parquet"


def refuse_unnamed(results: Path) -> None:
    """Refuse results of earlier versions.

    Raises:
        ValueError: there are features that do not say which instrument read them.
    """
    if (results / UNNAMED).exists():
        raise ValueError(
            f"{results / UNNAMED} does not say which instrument read it (results of an earlier version): {AGAIN}"
        )


class FeatureWriter:
    """Writes a method's features; at most a row group of each column is held.

    Use as a context manager: the files appear when the block ends well. Files of columns that were not written go
    then, and so does the file of earlier versions.

    Args:
        results: the method's folder.
        method: its key.
        facts: go into each file's schema.
    """

    def __init__(self, results: Path, method: str, facts: Mapping[str, str]) -> None:
        self._results, self._method, self._facts = results, method, dict(facts)
        self._tables: dict[Path, TableWriter] = {}
        self._open = ExitStack()

    def add(self, metric_id: str, pairs: PairColumns, role: str, values: np.ndarray) -> None:
        """Append features (N, D) of N pairs' images; `role` is `generated` or `reference`."""
        path, schema = features_file(self._results, metric_id), features_schema(values.shape[1])
        if path not in self._tables:
            self._tables[path] = self._open.enter_context(TableWriter(path, schema, self._facts))
        count = len(values)
        same = [[name] * count for name in (self._method, metric_id, role)]
        arrays = [pa.array(column, pa.string()) for column in (pairs.pair_id, pairs.dataset, pairs.task, *same)]
        self._tables[path].add(pa.table([*arrays, vector_column(values)], schema=schema))

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self._open.__exit__(kind, *rest)
        if kind is None:
            stale = set((self._results / FOLDER).glob("*.parquet")) - self._tables.keys()
            for path in [*stale, self._results / UNNAMED]:
                path.unlink(missing_ok=True)


class Features:
    """A method's features of one column: held is where they lie, each set is read when it is asked for.

    Args:
        results: the method's folder.
        metric_id: id of the column.

    Raises:
        NotMeasured: there is no file of this column.
        ValueError: the file holds features of another column.
    """

    def __init__(self, results: Path, metric_id: str) -> None:
        self.path = features_file(results, metric_id)
        if not self.path.exists():
            raise NotMeasured(f"{results} has no features of {metric_id}: {AGAIN}")
        names = ("pair_id", "dataset", "task", "role", "metric")
        pair_ids, *groups, metrics = (column.to_pylist() for column in read_table(self.path, columns=names).columns)
        found = sorted(set(metrics))
        if found != [metric_id]:
            raise ValueError(f"{self.path} holds features of {' and '.join(found)}, not of {metric_id} alone: {AGAIN}")
        self._rows: dict[tuple[str, str, str], dict[str, int]] = {}
        for row, (pair_id, *group) in enumerate(zip(pair_ids, *groups, strict=True)):
            self._rows.setdefault(tuple(group), {})[pair_id] = row

    def of_set(self, dataset: str, task: str, role: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Features (N, D) of these pairs' images.

        Raises:
            NotMeasured: those of some pairs are not there.
        """
        rows = self._rows.get((dataset, task, role), {})
        lost = [name for name in pair_ids if name not in rows]
        if lost:
            raise NotMeasured(
                f"{self.path} lacks {len(lost)} of {len(pair_ids)} {role} images of {dataset} {task}, first {lost[0]}: "
                f"{AGAIN}"
            )
        return _read_rows(self.path, np.array([rows[name] for name in pair_ids], np.int64))


def _read_rows(path: Path, rows: np.ndarray) -> np.ndarray:
    """Features (N, D) of N rows of a file, one row group at a time."""
    with pq.ParquetFile(plain_path(path)) as file:
        found = np.empty((len(rows), file.schema_arrow.field("features").type.list_size), np.float32)
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        groups = np.searchsorted(ends, rows, side="right")
        for group in np.unique(groups).tolist():
            part = column_array(file.read_row_group(group, columns=["features"]), "features")
            here = groups == group
            found[here] = part[rows[here] - (ends[group] - len(part))]
    return found
