"""torch's random streams of one process as bytes, so that a resumed run draws what an undisturbed one does.

Data has no stream of its own: a batch is a function of seed and step.
"""

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """The CPU's stream, and the device's after it, (N,) uint8 on the CPU."""
    streams = [torch.get_rng_state()]
    if device.type == "cuda":
        streams.append(torch.cuda.get_rng_state(device))
    return torch.cat(streams)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Take over what `random_state` returned for a device of the same kind."""
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[length:].clone(), device)
