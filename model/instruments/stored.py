"""A network's tensors as safetensors, under its own names: the form in which instruments lie among the assets."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def load_stored(build: Callable[[], Network], path: Path) -> Network:
    """Build a network of the tensors that a file holds: frozen, in inference mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or holds another network; the message names the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no file of safetensors ({error})") from None
    network = build()
    wanted = network.state_dict()
    strange = sorted(set(wanted) ^ set(state))
    strange += [name for name in wanted if name in state and wanted[name].shape != state[name].shape]
    if strange:
        raise ValueError(f"{path} holds another network: {len(strange)} of its tensors differ, such as {strange[0]}")
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
