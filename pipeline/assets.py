"""Weights and heads that this project may not ship: where each comes from, and where it is put.

Nothing is ever fetched. `pwm assets status` says what is there; `pwm assets import NAME FILE...` brings what the
user has into `data/assets` and records its hash: weights are copied, 3-D heads converted (pipeline/heads/imports.py).
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.atomic import written_aside
from pipeline.store.provenance import sha256_file, write_json


@dataclass(frozen=True)
class Asset:
    """Something of third parties: its file here, what its release calls it, where that is, and under which terms."""

    file: str
    released_as: str
    source: str
    licence: str
    arguments: str = "FILE"  # of `pwm assets import NAME`


class AssetMissing(RuntimeError):
    """A file that this project may not ship has not been imported."""


ASSETS = {
    "inception": Asset(
        "inception.pth",
        "weights-inception-2015-12-05-6726825d.pth",
        "torch-fidelity, release v0.2.0",
        "Apache-2.0 (TensorFlow)",
    ),
    "lpips_alex": Asset("alexnet.pth", "alexnet-owt-7be5be79.pth", "torchvision's AlexNet", "BSD-3-Clause"),
    "vgg19": Asset("vgg19.pth", "vgg19-dcbb9e9d.pth", "torchvision's VGG-19", "BSD-3-Clause"),
    "arcface": Asset(
        "arcface.onnx",
        "w600k_r50.onnx or another 112 px ArcFace model",
        "insightface model zoo",
        "non-commercial research",
    ),
    "fan": Asset(
        "fan.pth", "2DFAN4-11f355bf06.pth.tar", "face-alignment 1.5", "BSD-3-Clause code; weights as released"
    ),
    "s3fd": Asset("s3fd.pth", "s3fd-619a316812.pth", "face-alignment 1.5", "BSD-3-Clause code; weights as released"),
    "deca": Asset(
        "deca_model.tar", "deca_model.tar", "DECA's project page (registration)", "MPI, non-commercial research"
    ),
    "deep3d": Asset(
        "deep3d.pth",
        "epoch_20.pth",
        "the README of Deep3DFaceRecon_pytorch, which links two versions: the hash says which",
        "MIT code; weights for non-commercial research, as the Basel Face Model",
    ),
    "flame": Asset(
        "flame.npz",
        "generic_model.pkl (or flame2023.pkl) and landmark_embedding.npy",
        "flame.is.tue.mpg.de (registration), and the data folder of DECA",
        "MPI, non-commercial research; FLAME 2023 Open: CC BY 4.0",
        "generic_model.pkl landmark_embedding.npy",
    ),
    "bfm": Asset(
        "bfm.npz",
        "BFM_model_front.mat",
        "Basel Face Model 2009 (registration), prepared by Deep3DFaceRecon_pytorch",
        "University of Basel, non-commercial research",
        "BFM_model_front.mat",
    ),
    "ict": Asset("ict.npz", "FaceXModel (folder)", "github.com/ICT-VGL/ICT-FaceKit", "MIT", "FaceXModel"),
}


def assets_dir() -> Path:
    """Folder of imported assets: `$PWM_ASSETS`, or `data/assets` of the project."""
    return Path(os.environ.get("PWM_ASSETS", Path(os.environ.get("DVC_ROOT", ".")) / "data" / "assets"))


def _known(name: str) -> Asset:
    if name not in ASSETS:
        raise ValueError(f"unknown asset {name!r}: expected one of {', '.join(sorted(ASSETS))}")
    return ASSETS[name]


def require(name: str) -> Path:
    """Return the path of an imported asset.

    Raises:
        AssetMissing: it has not been imported; the message says what to get, from where, and the command.
    """
    asset = _known(name)
    path = assets_dir() / asset.file
    if not path.exists():
        raise AssetMissing(f"{name}: no weights; {how_to_get(name)}")
    return path


def how_to_get(name: str) -> str:
    """What to get, from where, under which licence, and the command that imports it, as the end of a message."""
    asset = _known(name)
    command = f"pwm assets import {name} {asset.arguments}"
    return f"get {asset.released_as} ({asset.source}; {asset.licence}), then `{command}`"


def copy_asset(name: str, file: Path) -> Path:
    """Copy a file of weights into the assets folder atomically and record its sha256 beside it."""
    asset = _known(name)
    if not Path(file).is_file():
        raise FileNotFoundError(f"{name}: there is no file {file}")
    path = assets_dir() / asset.file
    with written_aside(path) as partial:
        shutil.copyfile(file, partial)
    write_card(name, path, {})
    return path


def write_card(name: str, path: Path, facts: Mapping[str, Any]) -> None:
    """Record beside an imported file what it is, its sha256, its licence and further facts."""
    asset = _known(name)
    card = {"name": name, "released_as": asset.released_as, "licence": asset.licence, "sha256": sha256_file(path)}
    write_json(path.with_name(path.name + ".json"), card | dict(facts))


def status() -> list[dict[str, str]]:
    """One row an asset: name, whether it is there (yes, part, no), its hash if recorded, source and licence."""
    rows = []
    for name, asset in sorted(ASSETS.items()):
        path = assets_dir() / asset.file
        card = path.with_name(path.name + ".json")
        known = json.loads(card.read_text()) if card.exists() else {}
        present = ("part" if known.get("missing") else "yes") if path.exists() else "no"
        rows.append(
            {"name": name, "present": present, "sha256": known.get("sha256", "")[:12],
             "released_as": asset.released_as, "source": asset.source, "licence": asset.licence}
        )  # fmt: skip
    return rows
