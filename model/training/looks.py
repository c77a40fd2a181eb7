"""A look at a network that is being trained, which leaves no trace: what it learns next is bit for bit the same."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn


@contextmanager
def looked_at(network: nn.Module) -> Iterator[None]:
    """Within it the network is in its state for inference, and nothing that it or training depends on changes.

    Statistics of normalisation and the vectors of spectral norm move in training mode alone. Random streams are put
    back. Compiled parts run as they were written, so that no other form of them is compiled for the look. Tensors that
    networks keep for later stay usable in training, which those of inference mode would not be.
    """
    # What compiles is loaded for seconds, and only where something has been compiled.
    plain = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    modes = {module: module.training for module in network.modules()}
    devices = sorted({p.device.index or 0 for p in network.parameters() if p.device.type == "cuda"})
    network.eval()
    try:
        with torch.random.fork_rng(devices), plain, torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
