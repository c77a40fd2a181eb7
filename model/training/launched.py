"""Processes that a launcher started (torchrun, or whatever sets its variables): who this one is, and how all meet.

The variables are torch's own (`env://`): RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT.
"""

import atexit
import os
from datetime import timedelta

import torch
import torch.distributed as dist

PATIENCE = timedelta(minutes=10)  # what a process waits for another before it takes it for lost
_WANTED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return all(os.environ.get(name) for name in _WANTED)


def world() -> tuple[int, int]:
    """This process's rank and the number of processes.

    Raises:
        ValueError: the launcher's variables are no numbers that go together.
    """
    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except ValueError:
        rank, count = 0, 0
    if not 0 <= rank < count:
        shown = ", ".join(f"{name}={os.environ[name]}" for name in _WANTED[:2])
        raise ValueError(f"a launcher set {shown}: expected a rank below the number of processes")
    return rank, count


def leads() -> bool:
    """Whether this process speaks for all: the first of a launcher's, or one that was started alone."""
    return not launched() or world()[0] == 0


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine; the CPU, and a device with a number, stay.

    Raises:
        ValueError: the machine has fewer GPUs than processes.
    """
    if device.type != "cuda" or not launched():
        return device
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if device.index is not None:
        raise ValueError(f"--device {device}: a launcher gives each process a GPU of its own; choose cuda or auto")
    if local >= there:
        raise ValueError(
            f"process {local + 1} of this machine finds {there} GPUs: start at most {there} processes a machine "
            "(torchrun --nproc-per-node)"
        )
    return torch.device("cuda", local)


def join(device: torch.device) -> tuple[int, int]:
    """Meet the others, once in this process's life; return rank and number of processes.

    Raises:
        RuntimeError: the meeting point cannot be had; the message names it.
    """
    rank, count = world()
    if dist.is_initialized():
        return rank, count
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except RuntimeError as error:  # also a port in use, a host that does not answer
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        taken = "the port is in use: choose another (torchrun --master-port)" if "EADDRINUSE" in str(error) else first
        raise RuntimeError(f"process {rank + 1} of {count} cannot meet the others at {place}: {taken}") from error
    atexit.register(_leave)
    return rank, count


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
