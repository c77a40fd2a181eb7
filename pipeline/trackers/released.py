"""Networks whose weights third parties released in a torch file: read without running code, and loaded strictly."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
_SHOWN = 3


def load_released(build: Callable[[], Network], path: Path, part: str) -> Network:
    """Build a network of the state that a released file holds under the key `part`, in inference mode.

    Raises:
        ValueError: the file cannot be read without running code, lacks the part, or its tensors are not the network's.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is damaged, or holds more than tensors ({type(error).__name__}: {reason})") from None
    if not isinstance(stored, dict) or part not in stored:
        held = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
        raise ValueError(f"{path} has no {part!r}: it holds {held or 'nothing'}")
    with torch.device("meta"):  # nothing is drawn that the file replaces
        network = build()
    state, wanted = stored[part], network.state_dict()
    strange = sorted(name for name in {*wanted, *state} if not _same(wanted.get(name), state.get(name)))
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        raise ValueError(f"{path}: its {part!r} is another network: {', '.join(strange[:_SHOWN])}{more} do not fit")
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def _same(ours: torch.Tensor | None, theirs: torch.Tensor | None) -> bool:
    if ours is None or theirs is None:
        return False
    return (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
