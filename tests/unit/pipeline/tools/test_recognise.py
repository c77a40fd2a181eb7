"""Weights are known by their content when they are imported: the right ones are taken, others refused there."""

import csv
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.stand_ins import asset_state, write_onnx, write_release
from pipeline.assets import ASSETS
from pipeline.cli import app
from pipeline.fetching.table import OPEN
from pipeline.heads.imports import IMPORTERS
from pipeline.released.systems import SYSTEMS
from pipeline.store.assets import read_record
from pipeline.store.provenance import sha256_file
from pipeline.tools.recognise import WEIGHTS
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT

MANIFESTS = ROOT / "tests" / "data" / "manifests"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 91\n"


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    return project_with_assets(monkeypatch, tmp_path / "project")


def tensors_of(manifest: Path, value: float = 0.5) -> dict[str, torch.Tensor]:
    """Tensors of a list of names, shapes and types (tests/data/manifests), which were read from the released files."""
    found = {}
    for name, shape, kind in csv.reader(manifest.read_text().splitlines(), delimiter="\t"):
        sides = [int(side) for side in shape.split(",") if side]
        found[name] = torch.full((1,) * len(sides), value, dtype=getattr(torch, kind)).expand(sides)
    return found


def imported(name: str, *files: Path) -> str:
    """Import; what was said, which is empty where the files were refused."""
    done = CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])
    assert done.exit_code in (0, 2), done.output
    return done.output if done.exit_code == 0 else ""


def refusal(name: str, *files: Path) -> str:
    """Import what must be refused, without a trace in the assets folder; the message."""
    before = read_record()
    done = CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert str(files[0]) in lines[0]
    assert read_record() == before
    assert not list(Path(os.environ["PWM_ASSETS"]).glob("*"))
    return lines[0]


def test_every_asset_is_recognised_or_made_by_an_importer():
    made = {*IMPORTERS, *(name for name, asset in ASSETS.items() if asset.comes_with)}
    pinned = [asset for wheel in OPEN.values() for asset in wheel.assets]
    assert len([*made, *WEIGHTS, *SYSTEMS, *pinned]) == len(ASSETS)
    assert {*made, *WEIGHTS, *SYSTEMS, *pinned} == set(ASSETS)


@pytest.mark.parametrize(
    ("name", "manifest", "part"),
    [
        ("fan", "FAN4", ""),
        ("s3fd", "s3fd", ""),
        ("deca", "E_flame", "E_flame"),
        ("deep3d", "deep3d_net_recon", "net_recon"),
    ],
)
def test_the_published_networks_are_taken(name, manifest, part, assets, tmp_path):
    """The lists of tensors were read from the released files, not from this project's networks."""
    tensors = tensors_of(MANIFESTS / f"{manifest}.tsv")
    beside = {"E_detail": {}, "opt": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    torch.save({part: tensors, **beside} if part else tensors, tmp_path / "release")
    assert imported(name, tmp_path / "release")
    assert read_record()[name] == sha256_file(tmp_path / "release")
    first, *_, last = tensors
    for broken in ({k: v for k, v in tensors.items() if k != last}, {**tensors, first: tensors[first][:1]}):
        torch.save({part: broken, **beside} if part else broken, tmp_path / "broken")
        assert not imported(name, tmp_path / "broken")


def test_old_files_without_batch_counters_and_features_alone_are_taken(assets, tmp_path):
    state = {k: v for k, v in asset_state("fan").items() if "num_batches_tracked" not in k}
    torch.save(state, tmp_path / "fan", _use_new_zipfile_serialization=False)
    assert imported("fan", tmp_path / "fan")
    torch.save({k.removeprefix("features."): v for k, v in asset_state("vgg19").items()}, tmp_path / "vgg")
    assert imported("vgg19", tmp_path / "vgg")
    torch.save({**asset_state("lpips_alex"), "classifier.1.weight": torch.zeros(2)}, tmp_path / "alexnet")
    assert imported("lpips_alex", tmp_path / "alexnet")


@pytest.mark.parametrize("name", ["inception", "arcface"])
def test_networks_of_other_packages_are_taken(name, assets, tmp_path):
    assert imported(name, write_release(tmp_path / "release", name))


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (LFS.encode(), "is a git-lfs pointer"),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page"),
        (b'{"message": "Not Found"}', 'is a text that begins with \'{"message"'),
    ],
)
def test_what_came_in_place_of_the_file_is_named(name, content, reason, assets, tmp_path):
    (tmp_path / "file").write_bytes(content)
    message = refusal(name, tmp_path / "file")
    assert reason in message
    assert ASSETS[name].released_as in message


@pytest.mark.parametrize(
    ("name", "file"), [("flame", "generic_model.pkl"), ("bfm", "BFM_model_front.mat"), ("ict", "FaceXModel.npz")]
)
@pytest.mark.parametrize(
    ("content", "reason"), [("", "is empty"), (LFS, "is a git-lfs pointer"), ("<html>", "web page")]
)
def test_the_same_holds_for_heads(name, file, content, reason, assets, tmp_path):
    (tmp_path / file).write_text(content)
    given = [tmp_path / file]
    if name == "flame":
        np.save(tmp_path / "landmark_embedding.npy", np.zeros(3))
        given.append(tmp_path / "landmark_embedding.npy")
    assert reason in refusal(name, *given)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("kept", [0.999, 0.5, 0.02])
def test_a_truncated_file_is_refused(name, kept, assets, tmp_path):
    whole = write_release(tmp_path / "whole", name).read_bytes()
    (tmp_path / "part").write_bytes(whole[: int(len(whole) * kept)])
    assert not imported(name, tmp_path / "part")


def test_a_flipped_bit_is_found_by_the_archives_checksums(assets, tmp_path):
    whole = bytearray(write_release(tmp_path / "whole", "lpips_alex").read_bytes())
    with zipfile.ZipFile(tmp_path / "whole") as archive:
        member = next(info for info in archive.infolist() if "/data/" in info.filename)
    at = whole.index(np.float32(0.5).tobytes(), member.header_offset)
    whole[at] ^= 1
    (tmp_path / "flipped").write_bytes(whole)
    assert "the checksum of its" in refusal("lpips_alex", tmp_path / "flipped")


class Call:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_file_is_run(name, legacy, assets, tmp_path):
    mark = tmp_path / "ran"
    state = asset_state(name) if name != "arcface" else {}
    torch.save({**state, "more": Call(mark)}, tmp_path / "file", _use_new_zipfile_serialization=not legacy)
    message = refusal(name, tmp_path / "file")
    assert "no ONNX network" in message if name == "arcface" else "it names posix.system" in message
    (tmp_path / "file").write_bytes(pickle.dumps(Call(mark)))
    refusal(name, tmp_path / "file")
    assert not mark.exists()


def test_other_states_are_refused_with_what_they_hold(assets, tmp_path):
    file, state = tmp_path / "file", asset_state("lpips_alex")
    first = "features.0.weight"
    cases = {
        "names its tensors 'module. ...'": {f"module.{key}": value for key, value in state.items()},
        "holds other things than tensors by name: state_dict, epoch": {"state_dict": state, "epoch": 3},
        "has features.0.weight as (64, 3, 11, 11) float16 where (64, 3, 11, 11) float32 belongs": {
            **state, first: state[first].half()
        },
        "has tensors of another network: head.weight": {**state, "head.weight": torch.zeros(2)},
        "lacks features.0.weight, features.0.bias": {},
        "holds a list": [1, 2],
        "not finite in features.0.weight": {**state, first: torch.full((1, 1, 1, 1), torch.nan).expand(64, 3, 11, 11)},
        "holds the weights of vgg19: `pwm assets import vgg19 FILE`": asset_state("vgg19"),
        "holds the weights of deca": asset_state("deca"),
    }  # fmt: skip
    for reason, held in cases.items():
        torch.save(held, file)
        assert reason in refusal("lpips_alex", file), reason
    torch.save(state, file)
    assert "has no 'E_flame'" not in refusal("deca", file)
    torch.save({"E_flame": {f"module.{k}": v for k, v in asset_state("deca")["E_flame"].items()}}, file)
    assert "names its tensors 'module. ...'" in refusal("deca", file)


def test_archives_and_other_onnx_networks_are_refused(assets, tmp_path):
    with zipfile.ZipFile(tmp_path / "buffalo_l.zip", "w") as archive:
        archive.writestr("w600k_r50.onnx", "x")
    assert "is an archive of other files (w600k_r50.onnx): unpack it" in refusal("vgg19", tmp_path / "buffalo_l.zip")
    assert "no ONNX network" in refusal("arcface", tmp_path / "buffalo_l.zip")
    write_onnx(tmp_path / "large.onnx", face_px=224)
    assert "is a network of other inputs: [[0, 3, 224, 224]]" in refusal("arcface", tmp_path / "large.onnx")


def test_what_lies_in_the_folder_is_recognised_before_it_is_recorded(assets):
    (assets / "vgg19.pth").parent.mkdir(parents=True, exist_ok=True)
    (assets / "vgg19.pth").write_text("<html>")
    for arguments in (["vgg19"], []):
        done = CliRunner().invoke(app, ["assets", "record", *arguments])
        assert done.exit_code == 2
        assert "vgg19.pth is a web page" in done.output
    assert read_record()["vgg19"] is None
