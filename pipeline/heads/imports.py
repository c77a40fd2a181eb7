"""A release's files, in any order, become heads in the `.npz` form: `pwm assets import` of 3-D heads.

Which file is FLAME's or Basel's model follows from what it holds, because people rename files; ICT-FaceKit's meshes are
told apart by their names alone.
"""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model.heads.arrays import HeadArrays
from pipeline.console import say
from pipeline.store.assets import how_to_get
from pipeline.work.foreign_files import own_entries

_NUMBERED = re.compile(r"(\D*)(\d+)(\D*)")
# Files of Deep3DFaceRecon's BFM folder that served to make BFM_model_front.mat, or serve to align images.
_BFM_COMPANIONS = (
    "similarity_Lm3D_all.mat", "BFM_front_idx.mat", "BFM_exp_idx.mat", "select_vertex_id.mat", "std_exp.txt",
    "Exp_Pca.bin",
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """Heads that were made of a release's files.

    Attributes:
        heads: checked heads; the first is the asset's own.
        used: the files that they were made from or checked against.
        missing: names of files of the release that were not given, and without which a head is smaller.
    """

    heads: tuple[HeadArrays, ...]
    used: tuple[Path, ...]
    missing: tuple[str, ...] = field(default=())


def in_runs(names: Sequence[str]) -> str:
    """List file names in order; neighbours that differ by one in their number are joined: a002.obj to a099.obj."""
    runs: list[list[str]] = []
    for name in names:
        if runs and (numbered := _NUMBERED.fullmatch(runs[-1][-1])):
            stem, digits, suffix = numbered.groups()
            if name == f"{stem}{int(digits) + 1:0{len(digits)}}{suffix}":
                runs[-1].append(name)
                continue
        runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def flat(given: Sequence[Path]) -> list[Path]:
    """Put the files of folders in the folders' place, without those that systems leave there."""
    inside = ([file] if file.is_file() else [f for f in own_entries(file) if f.is_file()] for file in given)
    return [file for files in inside for file in files]


def _import_flame(files: Sequence[Path]) -> Imported:
    from model.releases.flame import import_flame
    from model.releases.restricted_pickle import is_npy

    roles = {"model pickle": [f for f in files if not is_npy(f)], "landmark_embedding.npy": list(filter(is_npy, files))}
    for role, chosen in roles.items():
        if len(chosen) != 1:
            names = ", ".join(str(file) for file in chosen) or "none of the given files"
            raise ValueError(f"flame: expected one {role}, got {names}; {how_to_get('flame')}")
    (model,), (embedding,) = roles.values()
    return Imported((import_flame(model, embedding),), (model, embedding))


def _import_bfm(files: Sequence[Path]) -> Imported:
    from model.releases.bfm import LANDMARK_FIELDS, import_bfm

    companions = [file for file in files if file.name in _BFM_COMPANIONS]
    if companions:
        say(f"bfm: not needed for the head: {', '.join(file.name for file in companions)}")
    stored = {file: _read_mat(file) for file in files if file not in companions}
    models = [file for file, values in stored.items() if "idBase" in values or "shapeMU" in values]
    if len(models) != 1:
        names = ", ".join(str(file) for file in models) or "none of the given files"
        raise ValueError(f"bfm: expected one BFM_model_front.mat, got {names}; {how_to_get('bfm')}")
    model = stored.pop(models[0])
    for file, values in stored.items():
        shared = [name for name in LANDMARK_FIELDS if name in values]
        if not shared:
            raise ValueError(f"{file} holds {', '.join(values)}: expected BFM_model_front.mat or facemodel_info.mat")
        for name in shared:
            if name in model and not np.array_equal(model[name], values[name]):
                raise ValueError(f"{file}: its {name} is not that of {models[0]}; they are not of one release")
            model[name] = values[name]
    return Imported((import_bfm(str(models[0]), model),), (models[0], *stored))


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    broken = (
        ValueError, TypeError, KeyError, IndexError, NotImplementedError, OSError, EOFError, OverflowError, MemoryError,
        AttributeError, zlib.error, struct.error, MatReadError,
    )  # fmt: skip
    try:
        return {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    except broken as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"{path} is damaged, or no MATLAB 5 file such as BFM_model_front.mat ({reason})") from None


def _import_ict(files: Sequence[Path]) -> Imported:
    from model.releases.ict import face_head, import_ict, import_ict_face, whole_head
    from model.releases.ict_obj import gather

    if len(files) == 1 and files[0].suffix == ".npz":
        return Imported((import_ict(files[0]), import_ict_face(files[0])), tuple(files))
    found = gather({file.name: file for file in files})
    heads = whole_head(found.source), face_head(found.source)
    for arrays in heads:
        arrays.check()
    return Imported(heads, tuple(file for file in files if file.name in found.used), found.missing)


IMPORTERS: dict[str, Callable[[Sequence[Path]], Imported]] = {
    "flame": _import_flame,
    "bfm": _import_bfm,
    "ict": _import_ict,
}
