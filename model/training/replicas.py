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

from model.training.interrupt import SIGNALS
from model.training.launched import join

BUCKET_BYTES = 64 << 20
FAREWELL_S = 20.0  # how long a process may take to end after the others have


class ProcessLost(RuntimeError):
    """Another process of the team does not answer."""


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
        """Replace every tensor, in place, by its mean over the processes; all become bit for bit equal.

        They travel in buckets of one dtype and at most `BUCKET_BYTES`, the next put together while one is under way.
        """
        if self.count == 1:
            return
        under_way = []
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            under_way.append((bucket, flat, self._reduced(flat, asynchronous=True)))
        for bucket, flat, work in under_way:
            self._finish(work)
            flat /= self.count
            for tensor, mean in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                tensor.detach().copy_(mean.view(tensor.shape))

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor, in place, by its sum over the processes."""
        if self.count > 1:
            self._reduced(tensor)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Tensors of one shape from all processes, in the order of their ranks, on the CPU."""
        if self.count == 1:
            return [tensor.cpu()]
        mine = tensor.to(_meeting_device())
        all_of_them = [torch.empty_like(mine) for _ in range(self.count)]
        with _named_loss():
            dist.all_gather(all_of_them, mine)
        return [each.cpu() for each in all_of_them]

    def check_equal(self, tensor: Tensor, what: str) -> None:
        """Raise RuntimeError in all processes where one holds another tensor; `what` says what that means."""
        all_of_them = self.gather(tensor)
        other = [str(rank + 1) for rank, each in enumerate(all_of_them) if not torch.equal(each, all_of_them[0])]
        if other:
            raise RuntimeError(f"{what}: {', '.join(other)} of {self.count} differ from the first")

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.count > 1:
            self._reduced(torch.zeros(1, device=_meeting_device()))

    def _reduced(self, tensor: Tensor, asynchronous: bool = False) -> "dist.Work | None":
        with _named_loss():
            return dist.all_reduce(tensor, async_op=asynchronous)

    def _finish(self, work: "dist.Work | None") -> None:
        if work is not None:
            with _named_loss():
                work.wait()


ALONE = Replicas()


@contextmanager
def replicas(count: int, work: Callable[..., None], *args: object) -> Iterator[Replicas]:
    """Start `count - 1` processes that run `work(replicas, *args)`; yield the caller's own place, the first.

    Processes that a launcher started are joined by `joined` instead.

    The caller must do the same work inside the `with`, because every average waits for every process.
    Outside of training the others ignore SIGINT, SIGTERM and SIGUSR1: they are ended when the first leaves the `with`.

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


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Cut tensors into lists of one dtype and at most `BUCKET_BYTES`, in their order; one that is larger goes alone."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size + tensor.nbytes > BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


def _meeting_device() -> torch.device:
    """Where tensors must lie to travel: NCCL's on this process's GPU."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@contextmanager
def _named_loss() -> Iterator[None]:
    """Say in plain words that another process has gone, which backends say each in theirs."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"a training process was lost ({_first_line(error)}); run it again to resume") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


@contextmanager
def joined(device: torch.device) -> Iterator[Replicas]:
    """Yield this process's place among those that a launcher started; all run the same program.

    Raises:
        RuntimeError: they cannot meet, or one was lost.
    """
    yield Replicas(*join(device))


def _take_part(
    rank: int, count: int, meeting: str, arrived: Semaphore, work: Callable[..., None], args: tuple[object, ...]
) -> None:
    for number in SIGNALS:
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
