"""Score a method: from saved 8-bit frames to one row a pair and metric."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.bench.features import FeatureWriter
from pipeline.bench.pair_frames import PairFrames, SubsetHashes
from pipeline.bench.predictions import SavedFrames, write_predictions
from pipeline.console import say
from pipeline.metrics.images import Images
from pipeline.metrics.protocols import PIXELS, BackendFailed, Role, named_failure
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import Measure
from pipeline.store.compute.threads import in_threads
from pipeline.store.frames import HeldFrames
from pipeline.store.schema import SCORES, write_table

PREDICTED = "predictions.arrow"  # in a method's results
CHUNK = 64  # pairs compared at once by metrics of pixels
PIECE = 2048  # pairs whose readings are compared, or handed to the writer, at once

Compared = dict[str, np.ndarray]  # metric id -> one value a pair


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
        self.references = Images.of(pairs.frames, readings.workers)

    def read_references(self) -> None:
        """Look at every reference image once and keep the readings for the next method."""
        self._without_those_that_fail(self._read_references)

    def _without_those_that_fail(self, work: Callable[[], None]) -> None:
        """Do some work; a backend that fails at it leaves its columns a reason, and the work is done without it."""
        while True:
            try:
                return work()
            except BackendFailed as failure:
                gone = [m.id for m in self.measures if m.backend and m.backend_name == failure.backend_name]
                if not gone:
                    raise
                say(f"no number for {', '.join(gone)}: {failure}")
                self.measures = [
                    replace(m, backend=None, reason=str(failure)) if m.id in gone else m for m in self.measures
                ]

    def _read_references(self) -> None:
        reading = [m for m in self.measures if m.backend is not None and m.metric.reading != PIXELS]
        for measure in {m.backend_name: m for m in reading}.values():  # a backend reads everything in one look
            shared = [m.metric.against for m in reading if m.backend_name == measure.backend_name]
            wanted = dict.fromkeys(item for against in shared for item in against.items())
            first, *others = [self._of_task(task, role) for task, role in wanted]
            images = first.joined(others)
            if len(images):
                self._read(measure, images)
                self.readings.keep(measure.opened, images)

    def _of_task(self, task: str, role: Role) -> Images:
        return self._shown(self.pairs.select(self.pairs.task == task), role)

    def _shown(self, pairs: PairFrames, role: Role) -> Images:
        """What generated images of some pairs are compared with."""
        return self.references.of_rows(pairs.source_row if role == "source" else pairs.driving_row)

    def pairs_of(self, tasks: Sequence[str]) -> PairFrames:
        """Pairs of these tasks, in the list's order."""
        return self.pairs.select(np.isin(self.pairs.task, tasks))

    def save_and_score(self, method: str, tasks: Sequence[str], batches: Iterable[Sequence[bytes]], out: Path) -> None:
        """Save a method's frames, then score what was saved.

        Args:
            method: key of the row.
            tasks: tasks in which it stands.
            batches: PNG bytes of its frames of the pairs of these tasks, in the pair list's order, some at a time.
            out: its results folder.
        """
        write_predictions(out / PREDICTED, self.pairs_of(tasks).pair_id.tolist(), batches)
        self.score_saved(method, tasks, out)

    def score_saved(self, method: str, tasks: Sequence[str], out: Path) -> None:
        """Score `out/predictions.arrow` into `scores.parquet` and `features/`, one file a column.

        Raises:
            PredictionsError: pairs are missing or the frames have another size than the clips.
        """
        pairs = self.pairs_of(tasks)
        saved = HeldFrames(SavedFrames(out / PREDICTED, pairs.pair_id.tolist(), pairs.size_hw))
        predicted = Images.of(saved, self.readings.workers)

        def score() -> None:
            measures = json.dumps([m.describe() for m in self.measures])
            facts = {"method": method, "measures": measures, **asdict(self.hashes)}
            scores = pa.concat_tables([SCORES.empty_table(), *self._score_tables(method, pairs, predicted)])
            with FeatureWriter(out, method, facts) as features:
                self._write_features(features, pairs, predicted)
            write_table(out / "scores.parquet", scores, facts)

        self._without_those_that_fail(score)
        self.readings.forget({*predicted.names} - {*self.references.names})

    def _standing(self, pairs: PairFrames, of_sets: bool) -> Iterator[tuple[Measure, str, Role, np.ndarray]]:
        """Columns that can be measured, with task, role of the reference, and the pairs' rows."""
        for measure in self.measures:
            for task, role in measure.metric.against.items() if measure.backend else ():
                rows = np.flatnonzero(pairs.task == task)
                if measure.metric.of_sets == of_sets and len(rows):
                    yield measure, task, role, rows

    def _score_tables(self, method: str, pairs: PairFrames, predicted: Images) -> Iterator[pa.Table]:
        """One row a pair, of every column that compares pairs."""
        pixels: dict[tuple[str, Role], Compared] = {}
        for measure, task, role, rows in self._standing(pairs, of_sets=False):
            part = pairs.select(rows)
            of_references = getattr(measure.metric, "of_references", False)
            generated = self._shown(part, "source") if of_references else predicted[rows]
            reference = self._shown(part, role)
            if measure.metric.reading == PIXELS:
                if (task, role) not in pixels:
                    pixels[task, role] = self._compare_pixels(task, role, generated, reference)
                values = pixels[task, role][measure.id]
            else:
                values = self._compare_readings(measure, generated, reference)
            yield _scores(part, method, measure.id, values)

    def _read(self, measure: Measure, images: Images) -> list[np.ndarray]:
        return self.readings.read(measure.opened, measure.reading, images)

    def _compare_readings(self, measure: Measure, generated: Images, reference: Images) -> np.ndarray:
        a, b = self._read(measure, generated), self._read(measure, reference)
        with named_failure(measure.backend_name):
            compare = measure.metric(measure.opened).compare
            return np.concatenate([compare(np.stack(a[part]), np.stack(b[part])) for part in _parts(len(a), PIECE)])

    def _compare_pixels(self, task: str, role: Role, generated: Images, reference: Images) -> Compared:
        """Decode each pair once, some at a time, for all columns that compare the pixels of these two images."""
        measures = [
            m for m in self.measures if m.backend and m.metric.reading == PIXELS and m.metric.against.get(task) == role
        ]

        def compare(measure: Measure, a: np.ndarray, b: np.ndarray) -> np.ndarray:
            with named_failure(measure.backend_name):
                return measure.metric(measure.opened).compare(a, b)

        def compared(part: slice) -> Compared:
            a, b = generated.decoded(part), reference.decoded(part)
            return {measure.id: compare(measure, a, b) for measure in measures}

        found = in_threads(compared, _parts(len(generated), CHUNK), self.readings.workers)
        return {measure.id: np.concatenate([one[measure.id] for one in found]) for measure in measures}

    def _write_features(self, features: FeatureWriter, pairs: PairFrames, predicted: Images) -> None:
        """Features of every generated and reference image that a column of sets compares, some at a time."""
        for measure, _, role, rows in self._standing(pairs, of_sets=True):
            if hasattr(measure.metric, "features_of"):
                continue  # another column's are stored
            part = pairs.select(rows)
            for name, images in (("generated", predicted[rows]), ("reference", self._shown(part, role))):
                found = self._read(measure, images)
                for piece in _parts(len(found), PIECE):
                    features.add(measure.id, part.select(piece), name, np.stack(found[piece]))


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _scores(pairs: PairFrames, method: str, metric_id: str, values: np.ndarray) -> pa.Table:
    count = len(pairs)
    columns = [pairs.pair_id, pairs.dataset, pairs.task, [method] * count, [metric_id] * count]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.table([*arrays, pa.array(np.asarray(values, np.float64))], schema=SCORES)
