"""Batches made ahead of time, in threads, so that training never waits for images."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

from model.method.network import Batch

BatchAt = Callable[[int], Batch]
Made = TypeVar("Made")  # whatever is made of a step
THREADS = min(8, os.cpu_count() or 1)


@contextmanager
def batches_ahead(batch_at: BatchAt, steps: int, device: torch.device) -> Iterator[BatchAt]:
    """Yield a function that gives the same batches as `batch_at` and has them ready.

    Args:
        batch_at: batch of a step, the same whenever and by whichever thread it is asked.
        steps: number of the first step that is never asked for.
        device: where the batches are used.
    """
    if device.type != "cuda":
        with BatchesAhead(batch_at, steps, 1) as ahead:  # one core more is all that a small network leaves to do
            yield ahead
        return
    with BatchesAhead(lambda step: batch_at(step).pin_memory(), steps, THREADS) as ahead:
        yield ahead


class BatchesAhead(Generic[Made]):
    """Batch of a step, with the following ones already in the works; use as a context manager.

    Threads are enough, because decoding and copying images leave Python's lock. Which thread made a batch,
    and when, changes nothing in it; a run may start at any step and jump to any other.

    Args:
        batch_at: batch of a step.
        steps: number of the first step that is never asked for.
        threads: that make batches; twice as many batches wait or are in the works.
    """

    def __init__(self, batch_at: Callable[[int], Made], steps: int, threads: int) -> None:
        self._batch_at, self._steps, self._ahead = batch_at, steps, 2 * threads
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self._coming: dict[int, Future[Made]] = {}

    def __call__(self, step: int) -> Made:
        """Return the batch of a step; what went wrong in a thread is raised here."""
        wanted = range(step, min(step + self._ahead, max(self._steps, step + 1)))
        for passed in self._coming.keys() - set(wanted):
            self._coming.pop(passed).cancel()
        for coming in wanted:
            if coming not in self._coming:
                self._coming[coming] = self._pool.submit(self._batch_at, coming)
        return self._coming.pop(step).result()

    def __enter__(self) -> "BatchesAhead[Made]":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
