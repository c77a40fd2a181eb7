"""Fit one head to every frame of every packed clip, and account for every frame."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.heads.head import HeadModel
from pipeline.clips import ClipStore
from pipeline.console import say, track
from pipeline.fit_params import FitParams
from pipeline.fits import build_fits, fits_metadata
from pipeline.ledger import TooManyFailures
from pipeline.pack import FOLDERS
from pipeline.provenance import scratch_dir, sha256_text
from pipeline.registry import resolve
from pipeline.schema import fits_schema, read_table, write_table
from pipeline.trackers import TRACKERS
from pipeline.trackers.protocol import OK, ClipInfo, FitRows, Tracker

_INFO_COLUMNS = ("clip", "dataset", "person", "video", "frame_index", "crop_map")


def fit_clips(
    params: FitParams, head: HeadModel, clips: Path, folders: Mapping[str, Path], out: Path
) -> list[pa.Table]:
    """Fit all clips of `clips`/train and `clips`/eval and write `out`/train.parquet and `out`/eval.parquet.

    One row a frame, in the order of the clip index. Clips that are finished in scratch are not fitted
    again: a stage that was killed goes on where it stopped.

    Args:
        params: tracker and thresholds.
        head: the head to fit.
        clips: folder of the packed clips.
        folders: where each data set's files lie, by the data set's name.
        out: folder of the fits.

    Returns:
        The written tables, train then eval.

    Raises:
        ValueError, FileNotFoundError, TrackerUnavailable: the tracker cannot run.
        RuntimeError: a tracker gave another number of rows than the clip has frames.
    """
    tracker: Tracker = resolve(TRACKERS, params.tracker, "tracker").open(head, params, folders)
    scratch = scratch_dir("fit", tracker.fingerprint)
    metadata = fits_metadata(head, params.tracker, tracker.weights_sha256)
    tables = []
    for folder in FOLDERS.values():
        store = ClipStore(clips / folder)
        rows = store.index.select(_INFO_COLUMNS).to_pylist()
        parts = [
            _fit_one(tracker, head, store, ClipInfo(**row), scratch)
            for row in track(rows, f"fit {head.name} {folder}", len(rows))
        ]
        table = pa.concat_tables(parts) if parts else fits_schema(*_sizes(head)).empty_table()
        if table.num_rows != sum(map(store.num_frames, store.clips())):
            raise RuntimeError(f"fit: {table.num_rows} rows for another number of frames in {clips / folder}")
        write_table(out / f"{folder}.parquet", table, metadata)
        tables.append(read_table(out / f"{folder}.parquet"))
    return tables


def check_fail_rate(tables: list[pa.Table], max_fail_rate: float) -> None:
    """Say how many frames ended with which status; raise TooManyFailures where too many are not ok."""
    counts = Counter(status for table in tables for status in table.column("status").to_pylist())
    total = counts.total()
    say("fit: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    failed = total - counts[OK]
    if not counts[OK] or failed > max_fail_rate * total:
        worst = next((status for status, _ in counts.most_common() if status != OK), "no frames")
        raise TooManyFailures(
            f"{failed} of {total} frames have no good fit, mostly {worst}; fit.max_fail_rate allows {max_fail_rate:.0%}"
        )


def _fit_one(tracker: Tracker, head: HeadModel, store: ClipStore, info: ClipInfo, scratch: Path) -> pa.Table:
    """Fit one clip, or read what an earlier run made of the same frames."""
    images = store.images(info.clip)
    pictures = [hashlib.sha256(image.as_buffer()).hexdigest() for image in images]
    key = sha256_text(asdict(info), pictures)
    file = scratch / f"{key[:32]}.parquet"
    if not file.exists():
        rows = tracker.fit_clip(store.frames(info.clip), info)
        write_table(file, _to_table(head, info, rows))
    table = read_table(file)
    if table.num_rows != len(images):
        raise RuntimeError(f"fit: {table.num_rows} rows for the {len(images)} frames of {info.clip}")
    return table.replace_schema_metadata(None)


def _to_table(head: HeadModel, info: ClipInfo, rows: FitRows) -> pa.Table:
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


def _sizes(head: HeadModel) -> tuple[int, int, int, int]:
    return head.num_shape, head.num_expression, head.num_pose, head.num_camera
