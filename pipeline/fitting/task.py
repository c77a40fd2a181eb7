"""What a worker does with one clip: its tracker, opened once, fits the frames; the rows go to scratch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch

from model.heads.head import HeadModel, load_head
from pipeline.params.fitting import FitParams
from pipeline.store.clips import read_clip
from pipeline.store.fits import build_fits
from pipeline.store.registry import resolve
from pipeline.store.schema import write_table
from pipeline.trackers.protocol import ClipInfo, FitRows, SeesFaces, Tracker
from pipeline.trackers.table import TRACKERS
from pipeline.work.scratch import written_at_once


@dataclass(frozen=True)
class TrackerSource:
    """What a tracker is opened from, in any process.

    Attributes:
        params: tracker and thresholds.
        head: .npz of the head.
        folders: name and folder of every data set.
        device: where its network runs.
        fingerprint: of the tracker that the stage opened; a worker's must be the same.
        finder_fingerprint: of what it finds faces with; empty where it needs no faces.
    """

    params: FitParams
    head: Path
    folders: tuple[tuple[str, Path], ...]
    device: torch.device
    fingerprint: str
    finder_fingerprint: str

    @classmethod
    def describe(
        cls, params: FitParams, head: Path, folders: Mapping[str, Path], device: torch.device
    ) -> tuple["TrackerSource", str]:
        """Open the tracker once to see that it can run; returns its source and its weights' sha256."""
        tracker = _open(params, head, folders, device)
        finder = getattr(tracker, "finder_fingerprint", "")
        source = cls(params, head, tuple(sorted(folders.items())), device, tracker.fingerprint, finder)
        return source, tracker.weights_sha256


@dataclass(frozen=True)
class FitTask:
    """One clip to fit: where its frames lie, and the file in scratch that its rows go to.

    `faces` is the file of the clip's faces, which trackers of several heads share; None where none are needed.
    """

    source: TrackerSource
    shard: Path
    batch: int
    info: ClipInfo
    file: Path
    faces: Path | None = None


def fit_clip(task: FitTask) -> None:
    """Fit one clip and keep its rows in scratch."""
    tracker = _tracker(task.source)
    with _one_thread():
        rows = _fit(tracker, read_clip(task.shard, task.batch), task)
    table = to_table(tracker.head, task.info, rows)
    if table.num_rows != len(task.info.frame_index):
        raise RuntimeError(f"{table.num_rows} rows for the {len(task.info.frame_index)} frames of {task.info.clip}")
    with written_at_once(task.file) as partial:
        write_table(partial, table)


def _fit(tracker: Tracker, frames_u8: np.ndarray, task: FitTask) -> FitRows:
    if task.faces is None:
        return tracker.fit_clip(frames_u8, task.info)
    sees_faces = cast("SeesFaces", tracker)
    return sees_faces.fit_faces(frames_u8, _faces(sees_faces, frames_u8, task.faces))


def _faces(tracker: SeesFaces, frames_u8: np.ndarray, file: Path) -> dict[str, np.ndarray]:
    """The faces of a clip: kept by whoever fitted a head to it first, else found now and kept."""
    if file.exists():
        with np.load(file) as kept:
            return dict(kept)
    faces = tracker.find_faces(frames_u8)
    columns: dict[str, Any] = {**faces}
    with written_at_once(file) as partial, partial.open("wb") as stream:
        np.savez(stream, **columns)
    return faces


def to_table(head: HeadModel, info: ClipInfo, rows: FitRows) -> pa.Table:
    """Turn a clip's rows into a fits table."""
    length = len(rows.status)
    return build_fits(
        head,
        clip=[info.clip] * length,
        frame=range(length),
        status=rows.status,
        score=rows.score,
        residual=rows.residual,
        fit=rows.fit,
        crop_map=np.tile(np.asarray(info.crop_map, np.float32), (length, 1)),
        landmarks=rows.landmarks,
    )


@lru_cache(maxsize=1)
def _tracker(source: TrackerSource) -> Tracker:
    """Open the tracker once a process, and anew for another head or other settings."""
    tracker = _open(source.params, source.head, dict(source.folders), source.device)
    if tracker.fingerprint != source.fingerprint:
        raise RuntimeError(f"this worker reads other files than the stage: head {source.head}, tables, weights or code")
    return tracker


def _open(params: FitParams, head: Path, folders: Mapping[str, Path], device: torch.device) -> Tracker:
    return resolve(TRACKERS, params.tracker, "tracker").open(load_head(head), params, folders, device)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums over several threads end in other last digits: with one, any machine gives the same bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
