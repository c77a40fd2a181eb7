"""Which pairs a column compares all rows on: those that its instrument could read in every one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.bench.features import NotMeasured


class Scored(Protocol):
    """What is read of a row's result (`pipeline.report.results.Result`)."""

    def reason(self, metric_id: str) -> str:
        """Why it has no number in a column; empty where its instrument ran."""

    def values(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Scores (seeds, N)."""

    def features(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> Sequence[np.ndarray]:
        """Features (N, D) of every seed."""

    def reference(self, dataset: str, task: str, metric_id: str, pair_ids: Sequence[str]) -> np.ndarray:
        """Features (N, D) of the images compared with."""


@dataclass(frozen=True)
class SharedPairs:
    """The pairs of a data set, task and column.

    Attributes:
        here: (N,) bool, of the pair list: read in every row that could read any.
        failed: how many each row could not read itself, by the row's key.
    """

    here: np.ndarray
    failed: Mapping[str, int]

    def left_out(self, row: str) -> int:
        """How many pairs a row could read, and does not count because another row could not."""
        read = len(self.here) - self.failed[row]
        return read - int(self.here.sum()) if read else 0


def shared_pairs(
    rows: Mapping[str, Scored], dataset: str, task: str, metric_id: str, of_sets: bool, pair_ids: Sequence[str]
) -> SharedPairs:
    """Find the pairs that all rows are compared on; a row that could read none has no say.

    Args:
        rows: results by the row's key; those that were not measured in this column are passed over.
        dataset: the data set.
        task: `same` or `cross`.
        metric_id: the column's.
        of_sets: whether it compares sets of images, by their features.
        pair_ids: the N pairs.
    """
    here, failed = np.ones(len(pair_ids), bool), {}
    for key, result in rows.items():
        if result.reason(metric_id):
            continue
        where = (dataset, task, metric_id, pair_ids)
        try:
            if of_sets:
                sets = [result.reference(*where), *result.features(*where)]
                read = np.logical_and.reduce([np.isfinite(one).all(1) for one in sets])
            else:
                read = np.isfinite(result.values(*where)).all(0)
        except NotMeasured:
            continue
        failed[key] = int((~read).sum())
        if read.any():
            here &= read
    return SharedPairs(here, failed)
