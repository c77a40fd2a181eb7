"""Fit one head to every frame of every packed clip, and account for every frame."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import torch

from model.heads.head import HeadModel, load_head
from pipeline.console import say, track
from pipeline.fitting.task import FitTask, TrackerSource, fit_clip, to_table
from pipeline.params.fitting import FitParams
from pipeline.store.clips import FOLDERS, ClipStore
from pipeline.store.closure import code_sha256
from pipeline.store.fits import fits_metadata
from pipeline.store.provenance import sha256_text
from pipeline.store.schema import TableWriter, fits_schema, read_table
from pipeline.store.scratch_root import scratch_dir
from pipeline.trackers.protocol import OK, ClipInfo, unfitted
from pipeline.work.dask_run import run
from pipeline.work.ledger import TooManyFailures
from pipeline.work.scratch import piece_path, recall_failure, remember_failure, sweep

_INFO_COLUMNS = ("clip", "dataset", "person", "video", "frame_index", "crop_map")
_SHOWN = 5


@dataclass(frozen=True)
class FitWork:
    """How the work is done, which changes no result.

    Attributes:
        workers, scheduler, clip_timeout_s: see `pipeline.work.dask_run.run`.
        retry_failed: fit clips again whose fitting crashed in an earlier run.
    """

    workers: int
    scheduler: str | None
    clip_timeout_s: float
    retry_failed: bool


def fit_clips(
    params: FitParams,
    head: Path,
    clips: Path,
    folders: Mapping[str, Path],
    out: Path,
    work: FitWork,
    device: torch.device,
) -> Counter[str]:
    """Fit all clips of `clips`/train and `clips`/eval and write `out`/train.parquet and `out`/eval.parquet.

    One row a frame, in the order of the clip index. Clips that are finished in scratch are not fitted
    again: a stage that was killed goes on where it stopped. Where fitting a clip crashed, all its frames
    are rows whose status says so. Memory hardly grows with the number of clips.

    Args:
        params: tracker and thresholds.
        head: .npz of the head to fit.
        clips: folder of the packed clips.
        folders: where each data set's files lie, by the data set's name.
        out: folder of the fits.
        work: how to do it.
        device: where the tracker's network runs, if it has one.

    Returns:
        How many frames ended with which status.

    Raises:
        ValueError, FileNotFoundError, TrackerUnavailable: the tracker cannot run.
        RuntimeError: a tracker gave another number of rows than the clip has frames.
        ClusterError: the cluster cannot do the work; finished clips are kept.
    """
    model = load_head(head)
    source, weights_sha256 = TrackerSource.describe(params, head, folders, device)
    scratch = scratch_dir("fit", sha256_text(source.fingerprint, code_sha256("pipeline.fitting.task")))
    sweep(scratch)
    if source.finder_fingerprint:
        sweep(scratch_dir("faces", source.finder_fingerprint))
    stores = {folder: ClipStore(clips / folder) for folder in FOLDERS.values()}
    tasks = {folder: ClipTasks.of(source, store, scratch) for folder, store in stores.items()}
    _fit_missing(ClipTasks(source, [row for part in tasks.values() for row in part.rows]), model.name, work)
    metadata = fits_metadata(model, params.tracker, weights_sha256)
    schema = fits_schema(model.num_shape, model.num_expression, model.num_pose, model.num_camera)
    counts: Counter[str] = Counter()
    for folder, part in tasks.items():
        with TableWriter(out / f"{folder}.parquet", schema, metadata) as writer:
            for task in part:
                rows = _finished(task, model)
                writer.add(rows)
                counts.update(rows.column("status").to_pylist())
    return counts


def check_fail_rate(counts: Counter[str], max_fail_rate: float) -> None:
    """Say how many frames ended with which status; raise TooManyFailures where too many are not ok."""
    total = counts.total()
    say("fit: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    failed = total - counts[OK]
    if not counts[OK] or failed > max_fail_rate * total:
        worst = next((status for status, _ in counts.most_common() if status != OK), "no frames")
        raise TooManyFailures(
            f"{failed} of {total} frames have no good fit, mostly {worst}; fit.max_fail_rate allows {max_fail_rate:.0%}"
        )


class ClipTasks(Sequence[FitTask]):
    """Tasks that are made when asked for: a list of them would hold every frame number of every clip.

    Attributes:
        rows: store, row of its index, file in scratch and file of the faces, of every task.
    """

    def __init__(self, source: TrackerSource, rows: list[tuple[ClipStore, int, Path, Path | None]]) -> None:
        self.source, self.rows = source, rows

    @classmethod
    def of(cls, source: TrackerSource, store: ClipStore, scratch: Path) -> "ClipTasks":
        """One task a clip of a store; its files are named by the clip's facts and the bytes of its frames."""
        faces = scratch_dir("faces", source.finder_fingerprint) if source.finder_fingerprint else None
        rows = []
        for row in range(store.index.num_rows):
            info = _info(store, row)
            pictures = hashlib.sha256()
            for image in store.images(info.clip):
                pictures.update(hashlib.sha256(image.as_buffer()).digest())
            fingerprint = sha256_text(asdict(info), pictures.hexdigest())[:32]
            file = piece_path(scratch, info.person, info.video, fingerprint, ".parquet")
            seen = faces and piece_path(faces, info.person, info.video, fingerprint, ".npz")
            rows.append((store, row, file, seen))
        return cls(source, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> FitTask:  # type: ignore[override]  # nobody slices tasks
        store, row, file, faces = self.rows[number]
        info = _info(store, row)
        return FitTask(self.source, *store.place(info.clip), info, file, faces)


def _info(store: ClipStore, row: int) -> ClipInfo:
    return ClipInfo(**store.index.select(_INFO_COLUMNS).slice(row, 1).to_pylist()[0])


def _fit_missing(tasks: ClipTasks, head_name: str, work: FitWork) -> None:
    """Fit what is not in scratch; what crashes leaves its reason there."""
    unfinished = [row for row in tasks.rows if not row[2].exists()]
    todo = ClipTasks(tasks.source, [r for r in unfinished if work.retry_failed or recall_failure(r[2]) is None])
    say(f"fit {head_name}: {len(tasks)} clips, {len(tasks) - len(unfinished)} finished before")
    if left := len(unfinished) - len(todo):
        say(f"fit {head_name}: {left} failed before and are left as they are (--retry failed tries them again)")
    failures = 0
    outcomes = run(fit_clip, todo, workers=work.workers, scheduler=work.scheduler, timeout_s=work.clip_timeout_s)
    for outcome in track(outcomes, f"fit {head_name}", len(todo)):
        if outcome.reason == OK:
            continue
        task, failures = todo[outcome.index], failures + 1
        remember_failure(task.file, outcome.reason, outcome.error)
        if failures <= _SHOWN:
            say(f"fit {head_name}: {task.info.clip}: {outcome.reason}: {outcome.error}")


def _finished(task: FitTask, head: HeadModel) -> pa.Table:
    """Rows of a clip: what the tracker made of it, or why there is nothing."""
    length = len(task.info.frame_index)
    if not task.file.exists() and (failure := recall_failure(task.file)):
        return to_table(head, task.info, unfitted(head, [failure[0]] * length))
    table = read_table(task.file)
    if table.num_rows != length:
        raise RuntimeError(f"fit: {table.num_rows} rows for the {length} frames of {task.info.clip}")
    return table.replace_schema_metadata(None)
