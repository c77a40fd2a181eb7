"""Score a method: from saved 8-bit frames to one row a pair and metric."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.fits import vector_column
from pipeline.metrics.protocols import PIXELS
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import Measure
from pipeline.pair_frames import PairFrames, SubsetHashes
from pipeline.predictions import PredictionsError, read_predictions, write_predictions
from pipeline.schema import SCORES, features_schema, write_table
from pipeline.threads import in_threads

CHUNK = 64  # pairs compared at once by metrics of pixels


class Scorer:
    """Scores any number of methods on one pair list.

    Args:
        pairs: all pairs with their frames.
        hashes: hashes of pair list and clip list.
        measures: the columns, with or without a backend.
        readings: memory of what backends read.
    """

    def __init__(
        self, pairs: PairFrames, hashes: SubsetHashes, measures: Sequence[Measure], readings: Readings
    ) -> None:
        self.pairs, self.hashes, self.measures, self.readings = pairs, hashes, measures, readings

    def read_references(self) -> None:
        """Look at every reference image once and keep the readings for the next method."""
        for measure in self.measures:
            if measure.backend is None or measure.metric.reading == PIXELS:
                continue
            parts = [self.pairs.images(role)[self.pairs.task == task] for task, role in measure.metric.against.items()]
            frames = np.concatenate(parts)
            if len(frames):
                self.readings.read(measure.backend, measure.reading, frames)
                self.readings.keep(measure.backend, frames)

    def pairs_of(self, tasks: Sequence[str]) -> PairFrames:
        """Pairs of these tasks, in the list's order."""
        return self.pairs.select(np.isin(self.pairs.task, tasks))

    def save_and_score(self, method: str, tasks: Sequence[str], frames_u8: np.ndarray, out: Path) -> None:
        """Save a method's frames, then score what was saved.

        Args:
            method: key of the row.
            tasks: tasks in which it stands.
            frames_u8: (M, H, W, 3) uint8 frames of the pairs of these tasks, in the pair list's order.
            out: its results folder.
        """
        pairs = self.pairs_of(tasks)
        write_predictions(out / "predictions.arrow", pairs.pair_id.tolist(), frames_u8)
        self.score_saved(method, tasks, out)

    def score_saved(self, method: str, tasks: Sequence[str], out: Path) -> None:
        """Score `out/predictions.arrow` into `scores.parquet` and `features.parquet`.

        Raises:
            PredictionsError: pairs are missing or the frames have another size than the clips.
        """
        pairs = self.pairs_of(tasks)
        frames = read_predictions(out / "predictions.arrow", pairs.pair_id.tolist())
        if len(pairs) and frames.shape[1:3] != pairs.size_hw:
            raise PredictionsError(f"{out}: frames are {frames.shape[1:3]}, the clips {pairs.size_hw} (height, width)")
        scores, features = [SCORES.empty_table()], []
        for measure in self.measures:
            for task, role in measure.metric.against.items() if measure.backend else ():
                rows = np.flatnonzero(pairs.task == task)
                if len(rows) == 0:
                    continue
                part, generated, reference = pairs.select(rows), frames[rows], pairs.images(role)[rows]
                if measure.metric.of_sets:
                    features.append(_features(part, method, "generated", self._read(measure, generated)))
                    features.append(_features(part, method, "reference", self._read(measure, reference)))
                else:
                    scores.append(_scores(part, method, measure.id, self._compare(measure, generated, reference)))
        facts = {"method": method, "measures": json.dumps([m.describe() for m in self.measures]), **asdict(self.hashes)}
        write_table(out / "scores.parquet", pa.concat_tables(scores), facts)
        write_table(out / "features.parquet", pa.concat_tables(features or [features_schema(1).empty_table()]), facts)

    def _read(self, measure: Measure, frames_u8: np.ndarray) -> np.ndarray:
        return self.readings.read(measure.backend, measure.reading, frames_u8)

    def _compare(self, measure: Measure, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        metric = measure.metric(measure.backend)
        if metric.reading == PIXELS:
            chunks = [slice(start, start + CHUNK) for start in range(0, len(generated), CHUNK)]
            compared = in_threads(
                lambda part: metric.compare(generated[part], reference[part]), chunks, self.readings.workers
            )
            return np.concatenate(compared)
        return metric.compare(self._read(measure, generated), self._read(measure, reference))


def _scores(pairs: PairFrames, method: str, metric_id: str, values: np.ndarray) -> pa.Table:
    count = len(pairs)
    columns = [pairs.pair_id, pairs.dataset, pairs.task, [method] * count, [metric_id] * count]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.table([*arrays, pa.array(np.asarray(values, np.float64))], schema=SCORES)


def _features(pairs: PairFrames, method: str, role: str, values: np.ndarray) -> pa.Table:
    count = len(pairs)
    columns = [pairs.pair_id, pairs.dataset, pairs.task, [method] * count, [role] * count]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.table([*arrays, vector_column(values)], schema=features_schema(values.shape[1]))
