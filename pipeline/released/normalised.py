"""The one form in which released weights lie in the assets folder: safetensors, `part.key` as the network names them.

Written tensor by tensor, so that no network is held in memory as a whole, and with the same bytes for the same release:
the safetensors package orders its metadata anew in every process.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.atomic import written_aside
from pipeline.released.fitting import difference, some
from pipeline.released.systems import SYSTEMS, Kind, layout, network_of
from pipeline.store.provenance import sha256_file

if TYPE_CHECKING:
    import torch

SYSTEM, VARIANT, RELEASED = "system", "variant", "released_sha256"
_NAMES = {"float32": ("F32", 4), "int64": ("I64", 8)}
_ALIGNED = 8


def facts_of(name: str, variant: str, files: Sequence[Path]) -> dict[str, str]:
    """What a normalised file says of itself: system, configuration, and the sha256 of the files it was made of."""
    return {SYSTEM: name, VARIANT: variant, RELEASED: ",".join(sorted(map(sha256_file, files)))}


def write_normalised(
    path: Path, tensors: Mapping[str, Callable[[], "torch.Tensor"]], kinds: Mapping[str, Kind], facts: Mapping[str, str]
) -> None:
    """Write a network's tensors.

    Args:
        path: the file; it appears when all is written.
        tensors: name -> reads the tensor.
        kinds: sides and type of each, float32 or int64.
        facts: what else the file says of itself.

    Raises:
        ValueError: tensors hold values that are not finite; nothing is written then.
    """
    order = sorted(kinds, key=lambda key: (-_NAMES[kinds[key][1]][1], key))  # the wide ones first: all are aligned
    header: dict[str, Any] = {"__metadata__": dict(sorted(facts.items()))}
    at = 0
    for key in order:
        sides, (name, size) = kinds[key][0], _NAMES[kinds[key][1]]
        header[key] = {"dtype": name, "shape": list(sides), "data_offsets": [at, at + size * math.prod(sides)]}
        at += size * math.prod(sides)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    broken = []
    with written_aside(path) as partial:
        with partial.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for key in order:
                tensor = tensors[key]()
                if not bool(tensor.isfinite().all()):
                    broken.append(key)
                stream.write(tensor.contiguous().numpy().reshape(-1).data)
        if broken:
            raise ValueError(f"has values that are not finite in {len(broken)} tensors: {some(broken)}")


def wrong_normalised(name: str, path: Path) -> str:
    """Why a file is not what `write_normalised` makes of a release of a system; empty if it is."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts, keys = file.metadata() or {}, list(file.keys())
            if facts.get(SYSTEM) != name or facts.get(VARIANT, "") not in SYSTEMS[name].variants:
                return f"holds {facts.get(SYSTEM) or 'weights of no known system'} {facts.get(VARIANT, '')}".rstrip()
            found, broken = {}, []
            for key in keys:
                tensor = file.get_tensor(key)
                found[key] = tensor.to("meta")
                if not bool(tensor.isfinite().all()):
                    broken.append(key)
    except (SafetensorError, OSError) as error:
        return f"is damaged, or no safetensors file ({error})"
    differs = difference(found, layout(name, facts.get(VARIANT, "")))
    if differs.count:
        return str(differs)
    return f"has values that are not finite in {len(broken)} tensors: {some(broken)}" if broken else ""


def load_released(name: str, path: Path) -> "torch.nn.Module":
    """The network of a system with the weights of its imported file, for inference.

    Raises:
        ValueError: the file is another one; the message names it.
    """
    from safetensors.torch import load_file

    if wrong := wrong_normalised(name, path):
        raise ValueError(f"{path} {wrong}: `pwm assets import {name}` writes it anew")
    network = network_of(name, variant_of(path))
    network.load_state_dict(load_file(path))
    return network.eval()


def variant_of(path: Path) -> str:
    """The released configuration of an imported file."""
    return facts_in(path).get(VARIANT, "")


def facts_in(path: Path) -> dict[str, str]:
    """What an imported file says of itself."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}
