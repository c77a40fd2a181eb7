"""From clip requests to packed clips: crop what is missing, pack all, account for every request."""

from pathlib import Path

from pipeline.console import say, track
from pipeline.cropping.clip import CropTask, load_cropped
from pipeline.cropping.packed import PackedFolder
from pipeline.cropping.protocol import crop_facts
from pipeline.cropping.run import crop_tasks
from pipeline.params.data import CropParams
from pipeline.sources.request import ClipList, ClipRequest
from pipeline.store.clips import FOLDERS, Encoding
from pipeline.work.ledger import LedgerRow, check_complete, check_rates, summary, to_table
from pipeline.work.scratch import recall_failure, remember_failure, sweep


def crop_all(
    clips: ClipList,
    out: Path,
    params: CropParams,
    scratch: Path,
    *,
    workers: int,
    scheduler: str | None,
    clip_timeout_s: float,
    retry_failed: bool = False,
) -> None:
    """Make `out`/train and `out`/eval: shards, index.parquet and ledger.parquet.

    Clips that are finished in `scratch` are not made again, and those that failed there only with
    `retry_failed`. Both folders and their ledgers are written before the rates are checked, so that the
    ledger shows what a refusal was about.

    Raises:
        TooManyFailures: more clips failed or are missing than `params` allows, or none is left.
        ClusterError: the cluster cannot do the work; finished clips are kept.
    """
    sweep(scratch)
    tasks = [CropTask.plan(request, params, scratch) for request in clips.requests]
    todo, faults = _what_is_left(tasks, retry_failed)
    say(f"crop: {len(tasks)} clips asked for, {len(tasks) - len(todo) - len(faults)} finished before")
    if faults:
        say(f"crop: {len(faults)} missing or failed before are left as they are (--retry failed tries those again)")
    outcomes = crop_tasks(todo, workers=workers, scheduler=scheduler, timeout_s=clip_timeout_s)
    for task, reason, detail in track(outcomes, "crop", len(todo)):
        if reason != "ok":
            faults[task.request.clip] = (reason, detail)
            if file := task.file():
                remember_failure(file, reason, detail)
    facts = crop_facts(clips.sources, params)
    rows: list[LedgerRow] = []
    for split, folder in FOLDERS.items():
        made = [task for task in tasks if task.request.split == split]
        unreadable = [row for row in clips.unreadable if row.split == split]
        rows += _pack(out / folder, made, faults, unreadable, params, facts)
    for line in summary(rows):
        say(f"crop: {line}")
    check_rates(rows, params.max_fail_rate, params.max_missing_rate)


def _what_is_left(tasks: list[CropTask], retry_failed: bool) -> tuple[list[CropTask], dict[str, tuple[str, str]]]:
    """Clips to make now, and reason and detail of those that need no worker to fail."""
    todo, faults = [], {}
    for task in tasks:
        file = task.file()
        if file is None:
            faults[task.request.clip] = ("missing_source", f"no video at {task.request.path}")
        elif file.exists():
            continue
        elif not retry_failed and (failure := recall_failure(file)):
            faults[task.request.clip] = failure
        else:
            todo.append(task)
    return todo, faults


def _pack(
    folder: Path,
    tasks: list[CropTask],
    faults: dict[str, tuple[str, str]],
    unreadable: list[LedgerRow],
    params: CropParams,
    facts: dict[str, str],
) -> list[LedgerRow]:
    """Write one split's folder from the finished clips."""
    rows = list(unreadable)
    encoding: Encoding = "jpeg" if folder.name == FOLDERS["train"] else "png"
    with PackedFolder(folder, encoding, params.shard_mb << 20, {**facts, "encoding": encoding}) as packed:
        for task in tasks:
            if task.request.clip in faults:
                rows.append(task.request.row(*faults[task.request.clip]))
                continue
            clip = load_cropped(task.kept_at())
            rows.append(task.request.row("ok", clip.facts.pop("note")))
            packed.add({**_identity(task.request), **clip.facts}, clip.images)
        check_complete([task.request.clip for task in tasks] + [row.clip for row in unreadable], rows)
        rows.sort(key=lambda row: (row.dataset, row.clip))
        packed.finish(to_table(rows))
    return rows


def _identity(request: ClipRequest) -> dict:
    names = ("clip", "dataset", "split", "person", "video", "start")
    return {name: getattr(request, name) for name in names}
