"""Crops many clips in processes that may be killed, and gives those that decord took down to PyAV."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.cropping.clip import CropTask, crop_clip
from pipeline.work.dask_run import run


def crop_tasks(
    tasks: Sequence[CropTask], *, workers: int, scheduler: str | None, timeout_s: float
) -> Iterator[tuple[CropTask, str, str]]:
    """Make clips; yields each task once, in any order, with its ledger reason and detail.

    A clip whose worker process died each time it was tried (decord can loop for ever, or crash) is tried
    once more without decord, when all others are done. The arguments are those of `pipeline.work.dask_run.run`.
    """
    died: list[CropTask] = []
    for outcome in run(crop_clip, tasks, workers=workers, scheduler=scheduler, timeout_s=timeout_s):
        task = tasks[outcome.index]
        if outcome.reason == "worker_died":
            died.append(replace(task, use_decord=False))
        else:
            yield task, *(outcome.value or (outcome.reason, outcome.error))
    for outcome in run(crop_clip, died, workers=workers, scheduler=scheduler, timeout_s=timeout_s):
        yield died[outcome.index], *(outcome.value or (outcome.reason, outcome.error))
