"""Score a method: from saved 8-bit frames to one row a pair and metric."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.bench.features import FeatureWriter
from pipeline.bench.pair_frames import PairFrames, SubsetHashes
from pipeline.bench.predictions import PredictionsError, read_predictions, write_predictions
from pipeline.metrics.protocols import PIXELS, Role
from pipeline.metrics.readings import Images, Readings
from pipeline.metrics.registry import Measure
from pipeline.store.schema import SCORES, write_table
from pipeline.store.threads import in_threads

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
        source, driving = Images.of(pairs.images("source")), Images.of(pairs.images("driving"))
        self._references: dict[Role, Images] = {"source": source, "driving": driving, "target": driving}

    def read_references(self) -> None:
        """Look at every reference image once and keep the readings for the next method."""
        reading = [m for m in self.measures if m.backend is not None and m.metric.reading != PIXELS]
        for measure in {m.backend_name: m for m in reading}.values():  # a backend reads everything in one look
            shared = [m.metric.against for m in reading if m.backend_name == measure.backend_name]
            wanted = dict.fromkeys(item for against in shared for item in against.items())
            images = Images.joined([self._of_task(task, role) for task, role in wanted])
            if len(images):
                self.readings.read(measure.opened, measure.reading, images)
                self.readings.keep(measure.opened, images)

    def _of_task(self, task: str, role: Role) -> Images:
        return self._references[role][np.flatnonzero(self.pairs.task == task)]

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
        """Score `out/predictions.arrow` into `scores.parquet` and `features/`, one file a column.

        Raises:
            PredictionsError: pairs are missing or the frames have another size than the clips.
        """
        pairs = self.pairs_of(tasks)
        frames = read_predictions(out / "predictions.arrow", pairs.pair_id.tolist())
        if len(pairs) and frames.shape[1:3] != pairs.size_hw:
            raise PredictionsError(f"{out}: frames are {frames.shape[1:3]}, the clips {pairs.size_hw} (height, width)")
        predicted = Images.of(frames)
        of_task = {task: pairs.select(pairs.task == task) for task in tasks}
        facts = {"method": method, "measures": json.dumps([m.describe() for m in self.measures]), **asdict(self.hashes)}
        scores = [SCORES.empty_table()]
        with FeatureWriter(out, method, facts) as features:
            for measure in self.measures:
                for task, role in measure.metric.against.items() if measure.backend else ():
                    rows = np.flatnonzero(pairs.task == task)
                    if len(rows) == 0:
                        continue
                    part = of_task[task]
                    generated, reference = predicted[rows], self._of_task(task, role)
                    if measure.metric.of_sets:
                        features.add(measure.id, part, "generated", self._read(measure, generated))
                        features.add(measure.id, part, "reference", self._read(measure, reference))
                    else:
                        scores.append(_scores(part, method, measure.id, self._compare(measure, generated, reference)))
        write_table(out / "scores.parquet", pa.concat_tables(scores), facts)

    def _read(self, measure: Measure, images: Images) -> np.ndarray:
        return self.readings.read(measure.opened, measure.reading, images)

    def _compare(self, measure: Measure, generated: Images, reference: Images) -> np.ndarray:
        metric = measure.metric(measure.opened)
        a, b = self._read(measure, generated), self._read(measure, reference)
        if metric.reading == PIXELS:
            chunks = [slice(start, start + CHUNK) for start in range(0, len(a), CHUNK)]
            compared = in_threads(lambda part: metric.compare(a[part], b[part]), chunks, self.readings.workers)
            return np.concatenate(compared)
        return metric.compare(a, b)


def _scores(pairs: PairFrames, method: str, metric_id: str, values: np.ndarray) -> pa.Table:
    count = len(pairs)
    columns = [pairs.pair_id, pairs.dataset, pairs.task, [method] * count, [metric_id] * count]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.table([*arrays, pa.array(np.asarray(values, np.float64))], schema=SCORES)
