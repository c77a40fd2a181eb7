"""Data-parallel training: processes that hold the same networks and take equal shares of every batch.

At 64 px a second thread is idle most of the time, because a step is thousands of small operations; a second
process is not. Processes meet on the loopback device through gloo, so this needs no GPU and no network.
"""

import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

FAREWELL_S = 20.0  # how long a process may take to end after the others have


@dataclass(frozen=True)
class Replicas:
    """This process's place (0-based `rank`) among `count` that train together."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all: it writes files and reports."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor, in place, by its mean over the processes; all become bit for bit equal."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.detach().copy_(mean.view(tensor.shape))


ALONE = Replicas()


@contextmanager
def replicas(count: int, work: Callable[..., None], *args: object) -> Iterator[Replicas]:
    """Start `count - 1` processes that run `work(replicas, *args)`; yield the caller's own place, the first.

    The caller must do the same work inside the `with`, because every average waits for every process.
    The others ignore SIGINT and SIGTERM: they are ended when the first leaves the `with`.

    Args:
        count: processes in all; 1 starts none.
        work: a function of a module, as for any spawned process.
        args: further arguments, sent by pickle.

    Raises:
        RuntimeError: a process was lost; its own message, if it had one, is on the terminal.
    """
    if count == 1:
        yield ALONE
        return
    context = multiprocessing.get_context("spawn")  # the parent has threads, which a fork would not survive
    with tempfile.TemporaryDirectory() as folder:
        meeting, arrived = str(Path(folder, "meeting")), context.Semaphore(0)
        others = [
            context.Process(target=_take_part, args=(rank, count, meeting, arrived, work, args), daemon=True)
            for rank in range(1, count)
        ]
        for process in others:
            process.start()
        try:
            _await(arrived, others)  # gloo would wait half an hour for one that never comes
            _join(0, count, meeting)
            yield Replicas(0, count)
            for process in others:
                process.join(FAREWELL_S)
        except RuntimeError as error:  # how gloo says that a peer has gone
            if lost := _first_lost(others):
                raise RuntimeError(
                    f"training process {lost[0] + 1} of {count} ended with status {lost[1]}; run it again to resume"
                ) from error
            raise
        finally:
            for process in others:  # before they notice that the first has gone, and say so
                process.kill()
                process.join()
            if dist.is_initialized():
                dist.destroy_process_group()


def _take_part(
    rank: int, count: int, meeting: str, arrived: Semaphore, work: Callable[..., None], args: tuple[object, ...]
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    arrived.release()
    _join(rank, count, meeting)
    work(Replicas(rank, count), *args)


def _await(arrived: Semaphore, processes: Sequence[BaseProcess]) -> None:
    for _ in processes:
        while not arrived.acquire(timeout=1.0):
            if any(process.exitcode is not None for process in processes):
                raise RuntimeError("a training process ended before it began")


def _join(rank: int, count: int, meeting: str) -> None:
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    store = dist.FileStore(meeting, count)  # by path: an address of it would be read as it is written, %20 and all
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count)


def _first_lost(processes: Sequence[BaseProcess]) -> tuple[int, int] | None:
    for rank, process in enumerate(processes, 1):
        process.join(1.0)  # the connection closes before the process has ended
        if process.exitcode:
            return rank, process.exitcode
    return None
