"""Batches side by side: two threads with one core each finish small networks sooner than one with two."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # results a worker that may wait for whoever takes them


def workers_on(device: torch.device) -> int:
    """Threads worth having: every core that torch may use, or one in front of a GPU."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums over several threads end in other last digits: with one, any machine gives the same bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> list[Result]:
    """Apply a function to every item, results in order; inside a thread torch keeps to one core."""
    if workers <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(function, items))


def streamed(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield what `in_threads` returns, result by result; items are drawn and results made only a few ahead."""
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
