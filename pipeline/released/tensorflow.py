"""LSR's release: a folder of TensorFlow checkpoints, read without TensorFlow."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.released.fitting import difference, some
from pipeline.released.normalised import facts_of, write_normalised
from pipeline.released.systems import Kind, layout

if TYPE_CHECKING:
    import torch

    from model.releases.tf_bundle import TfBundle

_LATEST = re.compile(r'^model_checkpoint_path: "(?P<name>[^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class _Held:
    """Sides and type of an array that has not been read."""

    shape: tuple[int, ...]
    dtype: str


def bring_folder(name: str, folder: Path, out: Path) -> tuple[list[Path], dict[str, str]]:
    """Import the checkpoint in a folder.

    Args:
        name: the system, which is LSR.
        folder: of the checkpoint's files.
        out: where the normalised file is written.

    Returns:
        The files that were read, and what the written file says of itself.

    Raises:
        FileNotFoundError: the folder has no checkpoint, or a file of it is missing.
        ValueError: it has several and does not say which is the latest, or it is damaged, compressed, or another
            network's; the message names the file and what differs.
    """
    from model.baselines.lsr.names import AXES, SUFFIX, is_weight, tensorflow_name
    from model.releases.tf_bundle import TfBundle

    kinds = layout(name)
    names = {key: tensorflow_name(key) for key in kinds}
    bundle = TfBundle(checkpoint_in(folder))
    held = {key: _Held(bundle.stored[key].shape, bundle.stored[key].dtype) for key in filter(is_weight, bundle.stored)}
    stored_as: dict[str, Kind] = {}
    for key, (sides, kind) in kinds.items():
        axes = AXES.get(len(sides), tuple(range(len(sides))))
        turned = dict(zip(axes, sides, strict=True))
        stored_as[names[key]] = (tuple(turned[i] for i in range(len(sides))), kind)
    differs = difference(_short(held.items(), SUFFIX), _short(stored_as.items(), SUFFIX))
    if differs.count:
        raise ValueError(f"{bundle.index} holds no weights of {name}: it {differs}")
    files = [bundle.index, *bundle.data]
    facts = facts_of(name, "", files)
    try:
        write_normalised(out, {key: _reader(bundle, names[key], AXES) for key in kinds}, kinds, facts)
    except ValueError as error:  # not finite, or damaged where the numbers lie
        at = "" if str(folder) in str(error) else f"{bundle.index} "
        raise ValueError(f"{at}{error}") from None
    return files, facts


def checkpoint_in(folder: Path) -> Path:
    """The index of the checkpoint in a folder: the only one, or the one that its file `checkpoint` calls the latest.

    Raises:
        FileNotFoundError: there is none, or the latest is not there.
        ValueError: there are several, and nothing says which.
    """
    found = sorted(folder.glob("*.index"))
    if not found:
        inside = some(sorted(path.name for path in folder.iterdir()))
        raise FileNotFoundError(f"{folder} has no .index of a TensorFlow checkpoint: it holds {inside}")
    if len(found) == 1:
        return found[0]
    said = folder / "checkpoint"
    latest = _LATEST.search(said.read_text(errors="replace")) if said.is_file() else None
    if latest is None:
        raise ValueError(
            f"{folder} has {len(found)} checkpoints ({some(path.name for path in found)}), and no file `checkpoint` "
            "that names the latest: leave one of them in it"
        )
    path = folder / f"{Path(latest['name']).name}.index"
    if path not in found:
        raise FileNotFoundError(
            f"{said} names {path.name}, which is not there: {some(path.name for path in found)} are"
        )
    return path


def _short(items: Iterable[tuple[str, Any]], suffix: str) -> dict[str, Any]:
    return {key.removesuffix(suffix): value for key, value in items}


def _reader(bundle: "TfBundle", name: str, axes: Mapping[int, tuple[int, ...]]) -> "Callable[[], torch.Tensor]":
    import numpy as np
    import torch

    def read() -> torch.Tensor:
        array = bundle.read(name)
        return torch.from_numpy(np.ascontiguousarray(array.transpose(axes.get(array.ndim, range(array.ndim)))))

    return read
