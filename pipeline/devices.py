"""Where a stage's networks run."""


def device_named(name: str) -> str:
    """Turn the option `--device` into torch's name of a device: `auto` is CUDA where there is one, else the CPU."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
