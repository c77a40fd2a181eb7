"""Where networks run, and how exactly: the one way from the option `--device` to a `torch.device`."""

import re
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device_named(name: str) -> "torch.device":
    """Turn the option `--device` into a device that is there.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, or `auto`, which is CUDA where there is one, else the CPU.

    Raises:
        ValueError: there is no such kind of device, or this machine has none of it; the message says which there are.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError(
            f"--device {name}: networks run on cpu, cuda or cuda:NUMBER; auto takes cuda where there is one"
        )
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not count:
        raise ValueError(f"--device {name}: torch finds no CUDA device on this machine; choose cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"--device {name}: this machine has {count} CUDA devices; the last is cuda:{count - 1}")
    return device


def full_precision(device: "torch.device") -> AbstractContextManager[None]:
    """Let networks that measure convolve in float32 and by fixed algorithms on CUDA, where TF32 is torch's default."""
    if device.type != "cuda":
        return nullcontext()
    import torch

    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
