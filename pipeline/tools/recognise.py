"""Whether a file is the weights that it is brought in as: told by its content, by names and shapes of its tensors.

Nothing in a file is run: torch files are read as tensors alone, ONNX graphs are parsed and never evaluated. What a
network's tensors are follows from the network itself, which is built without numbers.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.released.fitting import is_tensor
from pipeline.tools.weight_layouts import LAYOUTS, Layout

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = {*LAYOUTS, "arcface"}  # names of the assets that are networks; the others are heads
_START = 512  # bytes in which a file shows what it is
_SHOWN = 3
_FACE_PX = 112
_COUNTER = "num_batches_tracked"  # of BatchNorm: files older than the counter lack it, and nobody reads it
_NAMED = re.compile(r"GLOBAL (\S+)")  # how torch says what a pickle wanted to call


class Unrecognised(ValueError):
    """A file is not what it is brought in as; the message names it, says what it is, and what was expected."""


def check_weights(name: str, path: Path, released_as: str) -> None:
    """Hold a file to the weights of an asset.

    Args:
        name: the asset, one of `WEIGHTS`.
        path: the file.
        released_as: what its release calls it, for the message.

    Raises:
        Unrecognised: it is something else, damaged, or holds numbers that are not finite.
    """
    wrong = strange_content(path) or text_content(path)
    if not wrong:
        wrong = wrong_onnx(path) if name == "arcface" else _wrong_torch(name, path)
    if wrong:
        raise Unrecognised(f"{name}: {path} {wrong}; expected {released_as}")


def strange_content(path: Path) -> str:
    """What a file is that came in a release's place: nothing, a pointer or a page; empty where it is none of these."""
    start = _start(path)
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the file itself: run `git lfs pull` where it was cloned"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return "is a web page: the download gave an answer of the site, not the file"
    return ""


def text_content(path: Path) -> str:
    """How a file begins that is text, which no weights are; else empty."""
    start = _start(path)
    if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", start):
        return f"is a text that begins with {start[:40].decode('ascii')!r}"
    return ""


def wrong_onnx(path: Path) -> str:
    """Why a file is no network in ONNX form that embeds faces of 112 px; empty if it is one."""
    import onnx

    if _start(path).startswith((b"PK", b"\x80")):
        return "is a torch file or an archive, no ONNX network"
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's errors have no common base
        return f"is damaged, or no ONNX network ({_line(error)})"
    graph = model.graph
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        return "keeps its weights in another file"
    weights = {tensor.name for tensor in graph.initializer}
    taken = [_onnx_shape(value) for value in graph.input if value.name not in weights]
    given = [_onnx_shape(value) for value in graph.output]
    if len(taken) != 1 or taken[0][1:] != [3, _FACE_PX, _FACE_PX]:
        return f"is a network of other inputs: {taken}, not (N, 3, {_FACE_PX}, {_FACE_PX})"
    if len(given) != 1 or len(given[0]) != 2 or not given[0][1]:
        return f"is a network of other outputs: {given}, not one vector a face"
    return ""


def read_torch(path: Path) -> tuple[Any, str]:
    """Read a torch file as tensors alone: what it holds, or why it cannot be read."""
    import torch

    try:
        if _start(path).startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                if not any(name.endswith("data.pkl") for name in archive.namelist()):
                    return None, f"is an archive of other files ({', '.join(archive.namelist()[:_SHOWN])}): unpack it"
                if damaged := archive.testzip():
                    return None, f"is damaged: the checksum of its {damaged} is wrong"
        with warnings.catch_warnings(action="ignore"):  # of pickles that torch did not write
            return torch.load(path, map_location="cpu", weights_only=True), ""
    except Exception as error:  # noqa: BLE001 - a damaged file makes the readers raise anything
        if named := _NAMED.search(str(error)):
            return None, f"holds more than tensors: it names {named[1]}, and nothing in a file is run"
        if isinstance(error, pickle.UnpicklingError) and "operand" in str(error):
            return None, "is a pickle of other objects than tensors, or damaged, and nothing in a file is run"
        return None, f"is truncated, damaged or no torch file ({_line(error)})"


def _wrong_torch(name: str, path: Path) -> str:
    held, wrong = read_torch(path)
    if wrong:
        return wrong
    layout = LAYOUTS[name]
    wrong = misfit(layout, held)
    if wrong:
        meant = asset_with(held)
        return f"holds the weights of {meant}: `pwm assets import {meant} FILE`" if meant else wrong
    state = _state(layout, held)
    broken = [key for key in layout.tensors() if key in state and not bool(state[key].isfinite().all())]
    return f"has values that are not finite in {_some(broken)}" if broken else ""


def asset_with(held: Any) -> str:
    """The asset whose weights a torch file's content is; empty if it is none's."""
    from pipeline.released.bring import system_of

    return next((name for name in LAYOUTS if not misfit(LAYOUTS[name], held)), "") or system_of(held)


def misfit(layout: Layout, held: Any) -> str:
    """Why what a torch file holds is not of this layout; empty if it is."""
    if not isinstance(held, Mapping):
        return f"holds a {type(held).__name__}, no tensors by name"
    if layout.part and not isinstance(held.get(layout.part), Mapping):
        return f"has no {layout.part!r}: it holds {_some(held)}"
    state = held[layout.part] if layout.part else held
    if not all(isinstance(key, str) and is_tensor(value) for key, value in state.items()):
        return f"holds other things than tensors by name: {_some(state)}"
    if state and all(key.startswith("module.") for key in state):
        return "names its tensors 'module. ...': it was saved from a data-parallel network; save that network's .module"
    state, wanted = _state(layout, held), layout.tensors()
    missing = [key for key in wanted if key not in state and not key.endswith(_COUNTER)]
    if missing:
        return f"lacks {_some(missing)}"
    other = [key for key in wanted if key in state and _kind(state[key]) != _kind(wanted[key])]
    if other:
        shape, kind = _kind(wanted[other[0]])
        found = " ".join(map(str, _kind(state[other[0]])))
        return f"has {other[0]} as {found} where {shape} {kind} belongs" + (
            f" ({len(other)} differ)" if other[1:] else ""
        )
    extra = [key for key in state if key not in wanted and not (layout.unused and key.startswith(layout.unused))]
    return f"has tensors of another network: {_some(extra)}" if extra else ""


def _state(layout: Layout, held: "Mapping[str, Any]") -> "Mapping[str, Tensor]":
    state = held[layout.part] if layout.part else held
    if layout.bare_of and not any(key.startswith(layout.bare_of) for key in state):
        return {layout.bare_of + key: value for key, value in state.items()}
    return state


def _start(path: Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(_START)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name in names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (", ".join(listed[:_SHOWN]) or "nothing") + more


def _kind(tensor: "Tensor") -> tuple[tuple[int, ...], str]:
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")


def _onnx_shape(value: Any) -> list[int]:
    return [side.dim_value for side in value.type.tensor_type.shape.dim]  # 0 where it is open, as N is
