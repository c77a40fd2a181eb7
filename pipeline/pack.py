"""From clip requests to packed clips: crop what is missing, pack all, account for every request."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipeline.clips import ClipWriter
from pipeline.console import say, track
from pipeline.crop import CropTask, load_cropped
from pipeline.crop_protocol import crop_facts
from pipeline.crop_run import crop_tasks
from pipeline.data_params import CropParams
from pipeline.ledger import LedgerRow, check_complete, check_rates, summary, to_table
from pipeline.schema import INDEX, write_table
from pipeline.sources import ClipList, ClipRequest

FOLDERS = {"train": "train", "test": "eval"}  # split -> folder of the packed clips


def crop_all(
    clips: ClipList,
    out: Path,
    params: CropParams,
    scratch: Path,
    *,
    workers: int,
    scheduler: str | None,
    clip_timeout_s: float,
) -> None:
    """Make `out`/train and `out`/eval: shards, index.parquet and ledger.parquet.

    Clips that are finished in `scratch` are not made again. Both folders and their ledgers are written
    before the rates are checked, so that the ledger shows what a refusal was about.

    Raises:
        TooManyFailures: more clips failed or are missing than `params` allows, or none is left.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    tasks = {request.clip: CropTask.plan(request, params, scratch) for request in clips.requests}
    todo = [task for task in tasks.values() if not _finished(task)]
    say(f"crop: {len(tasks)} clips asked for, {len(tasks) - len(todo)} finished before")
    outcomes = crop_tasks(todo, workers=workers, scheduler=scheduler, timeout_s=clip_timeout_s)
    faults = {}
    for task, reason, detail in track(outcomes, "crop", len(todo)):
        if reason != "ok":
            faults[task.request.clip] = (reason, detail)
    facts = crop_facts(clips.sources, params)
    rows: list[LedgerRow] = []
    for split, folder in FOLDERS.items():
        made = [task for task in tasks.values() if task.request.split == split]
        unreadable = [row for row in clips.unreadable if row.split == split]
        rows += _pack(out / folder, made, faults, unreadable, params, facts)
    for line in summary(rows):
        say(f"crop: {line}")
    check_rates(rows, params.max_fail_rate, params.max_missing_rate)


def _finished(task: CropTask) -> bool:
    file = task.file()
    return file is not None and file.exists()


def _pack(
    folder: Path,
    tasks: Iterable[CropTask],
    faults: dict[str, tuple[str, str]],
    unreadable: list[LedgerRow],
    params: CropParams,
    facts: dict[str, str],
) -> list[LedgerRow]:
    """Write one split's folder under another name and exchange it when it is complete."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    index, rows = [], list(unreadable)
    encoding = "jpeg" if folder.name == FOLDERS["train"] else "png"
    tasks = list(tasks)
    with ClipWriter(partial, encoding, params.shard_mb << 20) as writer:
        for task in tasks:
            if task.request.clip in faults:
                rows.append(task.request.row(*faults[task.request.clip]))
                continue
            clip = load_cropped(task.file())
            rows.append(task.request.row("ok", clip.facts.pop("note")))
            shard, batch = writer.add(len(index), clip.images)
            index.append({**_identity(task.request), **clip.facts, "shard": shard, "batch": batch})
    check_complete([task.request.clip for task in tasks] + [row.clip for row in unreadable], rows)
    rows.sort(key=lambda row: (row.dataset, row.clip))
    facts = {**facts, "encoding": encoding}
    write_table(partial / "index.parquet", pa.Table.from_pylist(index, schema=INDEX), facts)
    write_table(partial / "ledger.parquet", to_table(rows), facts)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return rows


def _identity(request: ClipRequest) -> dict:
    names = ("clip", "dataset", "split", "person", "video", "start")
    return {name: getattr(request, name) for name in names}
