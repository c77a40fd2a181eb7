"""The published systems whose released weights can be imported: where each file keeps them, and what they must be.

Which tensors a network has follows from the network itself, built without numbers.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.method_table import BASELINES
from pipeline.methods.registry import ADAPTERS
from pipeline.methods.release import System

if TYPE_CHECKING:
    import torch

Kind = tuple[tuple[int, ...], str]  # a tensor's sides and type
SYSTEMS: dict[str, System] = {name: import_module(f"{ADAPTERS}.{name}.release").RELEASE for name in BASELINES}


def network_of(name: str, variant: str = "") -> "torch.nn.Module":
    """Build a system's network in one of its released configurations, by default the first."""
    system = SYSTEMS[name]
    module, _, kind = system.network.partition(":")
    found = import_module(module)
    config = getattr(found, f"{kind}Config")(**system.variants[variant or next(iter(system.variants))])
    network: torch.nn.Module = getattr(found, kind)(config)
    return network


@cache
def layout(name: str, variant: str = "") -> dict[str, Kind]:
    """Names, sides and types of all tensors of a system, `part.key`."""
    import torch

    with torch.device("meta"):
        state = network_of(name, variant).state_dict()
    return {key: kind_of(tensor) for key, tensor in state.items()}


def kind_of(tensor: Any) -> Kind:
    """Sides and type of a tensor, or of one that has not been read."""
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
