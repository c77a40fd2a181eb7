"""The project's only use of Dask: one function over many items, in processes that may be killed.

A native library can hang while it holds Python's lock, or take its process down. Each worker therefore
arms a native watchdog that ends the process after a time limit; Dask starts another and tries the item
once more, and then reports it as failed.
"""

import contextlib
import faulthandler
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

# One thread a process: libraries that are parallel inside would fight over the cores. The allocator's
# limits are raised because the nanny's defaults return every frame's memory to the system at once.
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
NANNY_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 28, **WORKER_ENVIRONMENT}


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of item number `index`: a value, or why there is none.

    `reason` is "ok", "worker_died" (killed, crashed or past the time limit, twice) or "crashed" (the
    function raised, which `error` quotes).
    """

    index: int
    value: Value | None
    reason: str = "ok"
    error: str = ""


def run(
    function: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    workers: int,
    scheduler: str | None,
    timeout_s: float,
) -> Iterator[Outcome[Value]]:
    """Apply a function to every item and yield outcomes as they finish, in any order.

    Args:
        function: importable by name in another process; takes an item, returns something small.
        items: picklable.
        workers: processes of a local cluster; 0 runs in this process, one after the other, with no
            time limit. Ignored where a scheduler is given.
        scheduler: address of a running Dask scheduler, or None.
        timeout_s: an item that takes longer has its worker process ended.
    """
    if not items:
        return
    if workers == 0 and scheduler is None:
        for index, item in enumerate(items):
            yield _outcome(index, function, item)
        return
    with _client(min(workers, len(items)), scheduler) as client:
        yield from _run_on(client, function, items, timeout_s)


def _outcome(index: int, function: Callable[[Item], Value], item: Item) -> Outcome[Value]:
    try:
        return Outcome(index, function(item))
    except Exception as error:  # noqa: BLE001  one bad item must not end the others
        return Outcome(index, None, "crashed", _quote(error))


@contextlib.contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler, set_as_default=False) as client:
            yield client
        return
    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.nanny.pre-spawn-environ": NANNY_ENVIRONMENT,
        "distributed.worker.daemon": False,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _run_on(client: Any, function: Callable, items: Sequence, timeout_s: float) -> Iterator[Outcome]:
    from distributed import as_completed

    # No more items in flight than threads: a death is then blamed on the item that caused it only.
    in_flight = max(1, sum(client.nthreads().values()))
    index_of = {}

    def submit(index: int) -> Any:
        future = client.submit(_guarded, function, items[index], timeout_s, pure=False)
        index_of[future.key] = index
        return future

    waiting = iter(range(len(items)))
    first = [submit(index) for index in itertools.islice(waiting, in_flight)]
    finished = as_completed(first, loop=client.loop)
    for future in finished:
        index = index_of.pop(future.key)
        yield _collect(index, future, timeout_s)
        following = next(waiting, None)
        if following is not None:
            finished.add(submit(following))


def _collect(index: int, future: Any, timeout_s: float) -> Outcome:
    from distributed import KilledWorker

    if future.status == "finished":
        return Outcome(index, future.result())
    error = future.exception() if future.status == "error" else RuntimeError(f"task {future.status}")
    if isinstance(error, KilledWorker) or future.status != "error":
        limit = f"the worker process died twice: a crash of a native library, or more than {timeout_s:g} s"
        return Outcome(index, None, "worker_died", limit)
    return Outcome(index, None, "crashed", _quote(error))


def _guarded(function: Callable[[Item], Value], item: Item, timeout_s: float) -> Value:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    # A timer inside the interpreter's C code: it fires even while a native call holds Python's lock.
    faulthandler.dump_traceback_later(timeout_s, exit=True, file=sys.__stderr__)
    try:
        return function(item)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _quote(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:300]}"
