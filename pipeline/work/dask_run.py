"""The project's only use of Dask: one function over many items, in processes that may be killed.

A native library can hang while it holds Python's lock, or take its process down. Each worker therefore
arms a native watchdog that ends the process after a time limit; Dask tries the item once more elsewhere
(a scheduler of the user's own as often as it is told to), and then reports it as failed. Whatever goes
wrong with the cluster itself, and not with an item, ends the run: it must not be blamed on the items.
"""

import contextlib
import faulthandler
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.console import say
from pipeline.store.closure import TREE

Item = TypeVar("Item")
Value = TypeVar("Value")

# One thread a process: libraries that are parallel inside would fight over the cores. The allocator's
# limits are raised because the nanny's defaults return every frame's memory to the system at once.
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
NANNY_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 28, **WORKER_ENVIRONMENT}
CONNECT_S = 20


class ClusterError(RuntimeError):
    """The cluster cannot do the work, whatever the items are; finished items are kept by their stage."""


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of item number `index`: a value, or why there is none.

    `reason` is "ok", "worker_died" (killed, crashed or past the time limit, each time it was tried) or
    "crashed" (the function raised, which `error` quotes).
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
        items: picklable; relative paths in them mean the same on a worker as here.
        workers: processes of a local cluster; 0 runs in this process, one after the other, with no
            time limit. Ignored where a scheduler is given.
        scheduler: address of a running Dask scheduler whose workers have one thread each, or None.
        timeout_s: an item that takes longer has its worker process ended.

    Raises:
        ClusterError: nobody answers at the address, its workers have several threads, other code or
            other folders, or the scheduler went away.
    """
    if not items:
        return
    if workers == 0 and scheduler is None:
        for index, item in enumerate(items):
            yield _outcome(index, function, item)
        return
    with _local(min(workers, len(items))) if scheduler is None else _existing(scheduler) as client:
        yield from _run_on(client, function, items, timeout_s)


def _outcome(index: int, function: Callable[[Item], Value], item: Item) -> Outcome[Value]:
    try:
        return Outcome(index, function(item))
    except Exception as error:  # noqa: BLE001  one bad item must not end the others
        return Outcome(index, None, "crashed", _quote(error))


@contextlib.contextmanager
def _existing(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, set_as_default=False, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler} (parameter dask.scheduler): start it, or set null to work here"
        ) from error
    with client:
        say(f"dask: {len(client.nthreads())} workers at {scheduler}, dashboard {client.dashboard_link}")
        yield client


@contextlib.contextmanager
def _local(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.nanny.pre-spawn-environ": NANNY_ENVIRONMENT,
        "distributed.worker.daemon": False,
        "distributed.worker.profile.enabled": False,  # it would look at every worker's stack a hundred times a second
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        if find_spec("bokeh"):
            say(f"dask: {workers} local workers, dashboard {client.dashboard_link}")
        yield client


def _run_on(client: Any, function: Callable, items: Sequence, timeout_s: float) -> Iterator[Outcome]:
    from distributed import as_completed

    submitted: dict[str, int] = {}
    waiting = iter(range(len(items)))
    where = str(Path.cwd())
    code = TREE.whole_sha256()

    def submit(room: int) -> list[Any]:
        futures = []
        for _, index in zip(range(room), waiting, strict=False):
            task = (function, index, items[index], timeout_s, where, code)
            futures.append(client.submit(_guarded, *task, pure=False))
            submitted[futures[-1].key] = index
        return futures

    finished = as_completed(submit(_room(client)), loop=client.loop)
    for future in finished:
        yield _collect(submitted.pop(future.key), future, timeout_s)
        finished.update(submit(_room(client) - len(submitted)))


def _room(client: Any) -> int:
    """Items that may be in flight: one for each worker there is now, so that a death is blamed on one item only."""
    try:
        threads = client.nthreads()
    except (OSError, RuntimeError) as error:
        raise ClusterError(f"the Dask scheduler went away ({_quote(error)}): run the stage again") from error
    if crowded := [address for address, count in threads.items() if count != 1]:
        raise ClusterError(
            f"worker {crowded[0]} has {threads[crowded[0]]} threads: start workers with --nthreads 1, because a time "
            "limit ends a whole process"
        )
    return max(1, len(threads))


def _collect(index: int, future: Any, timeout_s: float) -> Outcome:
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise ClusterError(f"the Dask scheduler lost a task ({future.status}): run the stage again")
    error = future.exception()
    if isinstance(error, KilledWorker):
        limit = f"the worker process died each time: a crash of a native library, or more than {timeout_s:g} s"
        return Outcome(index, None, "worker_died", limit)
    if isinstance(error, ClusterError):
        raise error
    raise ClusterError(f"the Dask workers cannot run this project's code: {_quote(error)}") from error


def _guarded(
    function: Callable[[Item], Value], index: int, item: Item, timeout_s: float, where: str, code: str
) -> Outcome[Value]:
    if TREE.whole_sha256() != code:
        raise ClusterError("a worker has another version of this project: update it and start the worker again")
    # A timer inside the interpreter's C code: it fires even while a native call holds Python's lock.
    faulthandler.dump_traceback_later(timeout_s, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        with contextlib.chdir(where):
            return _outcome(index, function, item)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _quote(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:300]}"
