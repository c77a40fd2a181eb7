"""A network's file of another library as safetensors: converted once, and known again by what it was made of."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.fetching.failure import FetchFailed
from pipeline.released.normalised import RELEASED, write_normalised

if TYPE_CHECKING:
    from torch import Tensor

_ASSET = "asset"
_KINDS = {"torch.float32": "float32", "torch.int64": "int64"}


def convert(asset: str, original: Path, sha256: str, converter: str, out: Path) -> None:
    """Write the tensors of a file.

    Args:
        asset: the asset that is made.
        original: the file.
        sha256: its hash, which the written file states.
        converter: `module:function`, path -> tensors by name.
        out: the safetensors file; its bytes depend on the tensors, the asset and the hash alone.

    Raises:
        FetchFailed: the converter gives other things than finite float32 and int64 tensors by name.
    """
    module, _, function = converter.partition(":")
    make: Callable[[Path], dict[str, Tensor]] = getattr(import_module(module), function)
    tensors = make(original)
    other = [key for key, tensor in tensors.items() if str(tensor.dtype) not in _KINDS]
    if other or not tensors:
        raise FetchFailed(f"{asset}: {converter} made {other[0] if other else 'no tensors'} of {original.name}")
    kinds = {key: (tuple(tensor.shape), _KINDS[str(tensor.dtype)]) for key, tensor in tensors.items()}
    readers = {key: _reader(tensor) for key, tensor in tensors.items()}
    try:
        write_normalised(out, readers, kinds, {_ASSET: asset, RELEASED: sha256})
    except ValueError as error:
        raise FetchFailed(f"{asset}: {original.name} {error}") from None


def wrong_converted(asset: str, sha256: str, path: Path) -> str:
    """Why a file is not what `convert` makes of the pinned file; empty if it is."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            finite = all(bool(file.get_tensor(key).isfinite().all()) for key in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        return f"is damaged, or no safetensors file ({error})"
    if facts.get(_ASSET) != asset:
        return f"holds {facts.get(_ASSET) or 'no asset that this project converted'}"
    if facts.get(RELEASED) != sha256:
        return f"was made of a file with sha256 {facts.get(RELEASED)}, not {sha256}"
    return "" if finite else "has values that are not finite"


def _reader(tensor: "Tensor") -> Callable[[], "Tensor"]:
    return lambda: tensor
