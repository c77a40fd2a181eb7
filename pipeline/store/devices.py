"""Where a stage's networks run, and how exactly."""

from contextlib import AbstractContextManager, nullcontext


def device_named(name: str) -> str:
    """Turn the option `--device` into torch's name of a device: `auto` is CUDA where there is one, else the CPU."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def full_precision(device: str) -> AbstractContextManager[None]:
    """Let networks that measure convolve in float32 and by fixed algorithms on CUDA, where TF32 is torch's default."""
    if not device.startswith("cuda"):
        return nullcontext()
    import torch

    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
