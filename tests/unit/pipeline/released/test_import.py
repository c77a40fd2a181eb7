"""`pwm assets import` of published systems from files in their official forms; the networks are small ones."""

import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from benchmarks.stand_ins import write_release as write_weights
from pipeline.assets import ASSETS
from pipeline.cli import app
from pipeline.released.normalised import load_released
from pipeline.released.systems import SYSTEMS, layout
from pipeline.store.assets import read_record
from pipeline.store.provenance import sha256_file
from tests.asset_folder import project_with_assets
from tests.released_files import contents, filled_state, lsr_arrays, make_small, write, write_release
from tests.tf_checkpoints import write_checkpoint

TORCH = [name for name, system in SYSTEMS.items() if not system.tensorflow]
ONE_FILE = [name for name in TORCH if SYSTEMS[name].one_file]
VARIANTS = [(name, variant) for name, system in SYSTEMS.items() for variant in system.variants]


@pytest.fixture(autouse=True, scope="module")
def _small_networks():
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield
    layout.cache_clear()


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    return project_with_assets(monkeypatch, tmp_path / "project")


def run(name: str, files: list[Path]) -> Any:
    return CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])


def imported(assets: Path, name: str, files: list[Path]) -> Path:
    done = run(name, files)
    assert done.exit_code == 0, done.output
    return assets / f"{name}.safetensors"


def refusal(assets: Path, name: str, files: list[Path]) -> str:
    """The one line of a refusal that leaves no trace."""
    before = sorted(assets.rglob("*")), read_record()
    done = run(name, files)
    assert done.exit_code == 2, done.output
    (line,) = done.output.splitlines()
    assert line.startswith(f"error: {name}: ")
    assert (sorted(assets.rglob("*")), read_record()) == before
    return line


def only_content(name: str, variant: str = "") -> dict:
    (content,) = contents(name, variant).values()
    return content


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_an_official_file_becomes_exactly_the_networks_state(name, variant, assets, tmp_path):
    files = write_release(tmp_path / "release", name, variant)
    path = imported(assets, name, files)
    expected, found = filled_state(name, variant), load_file(path)
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value), key
    assert read_record()[name] == sha256_file(path)
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    used = sorted(files[0].iterdir()) if name == "lsr" else files
    assert facts["system"] == name
    assert facts["variant"] == (variant or next(iter(SYSTEMS[name].variants)))
    assert sorted(facts["released_sha256"].split(",")) == sorted(map(sha256_file, used))
    card = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert card["inputs"] == {file.name: sha256_file(file) for file in used}
    assert (card["sha256"], card["licence"]) == (sha256_file(path), ASSETS[name].licence)
    network = load_released(name, path)
    assert not network.training
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    assert CliRunner().invoke(app, ["assets", "status"]).output.count("as recorded") == 1


def test_every_system_is_an_asset_with_its_own_file():
    assert {name: ASSETS[name].file for name in SYSTEMS} == {name: f"{name}.safetensors" for name in SYSTEMS}


@pytest.mark.parametrize("name", ["headgan", "lsr"])
def test_the_same_release_gives_the_same_bytes(name, assets, tmp_path):
    """Under another name of the file and in another folder, and over an older import."""
    files = write_release(tmp_path / "release", name)
    first = imported(assets, name, files).read_bytes()
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    shutil.move(files[0], moved)
    assert imported(assets, name, [moved]).read_bytes() == first


@pytest.mark.parametrize("name", ["pirender", "bilayer"])
def test_both_forms_of_torchs_files_hold_the_same(name, assets, tmp_path):
    for archive in (True, False):
        files = []
        for file, content in contents(name).items():
            files.append(tmp_path / file)
            torch.save(content, files[-1], _use_new_zipfile_serialization=archive)
        found = load_file(imported(assets, name, files))
        assert all(torch.equal(found[key], value) for key, value in filled_state(name).items())


def spectral(state: dict) -> dict:
    """Names as newer torch gives them to spectral norms."""
    names = {"weight_orig": "parametrizations.weight.original", "weight_u": "parametrizations.weight.0._u",
             "weight_v": "parametrizations.weight.0._v"}  # fmt: skip
    ends = {key: next((end for end in names if key.endswith(end)), "") for key in state}
    return {key.removesuffix(end) + names.get(end, ""): state[key] for key, end in ends.items()}


def test_what_wrappers_and_newer_versions_add_to_names_is_taken_away(assets, tmp_path):
    state = only_content("headgan")
    wrapped = OrderedDict((f"_orig_mod.module.{key}", value) for key, value in state.items())
    counted = {**state, "flow_network.enc.0.1.1.num_batches_tracked": torch.tensor(3)}
    for content in (wrapped, spectral(state), counted, {**state, "_metadata": {"": {"version": 2}}}):
        torch.save(content, tmp_path / "file")
        found = load_file(imported(assets, "headgan", [tmp_path / "file"]))
        assert all(torch.equal(found[key], value) for key, value in filled_state("headgan").items())
        assert len(found) == len(state)


def test_only_counters_are_filled_in(assets, tmp_path):
    content = only_content("fomm")
    without = {key: value for key, value in content["kp_detector"].items() if not key.endswith("num_batches_tracked")}
    assert len(without) < len(content["kp_detector"])
    torch.save(content | {"kp_detector": without}, tmp_path / "file")
    found = load_file(imported(assets, "fomm", [tmp_path / "file"]))
    assert all(torch.equal(found[key], value) for key, value in filled_state("fomm").items())
    without.pop("kp.bias")
    torch.save(content | {"kp_detector": without}, tmp_path / "file")
    said = refusal_over(assets, "fomm", [tmp_path / "file"])
    assert "lacks 1 of" in said
    assert "kp_detector.kp.bias" in said


def refusal_over(assets: Path, name: str, files: list[Path]) -> str:
    """A refusal that leaves an older import as it was."""
    kept = (assets / f"{name}.safetensors").read_bytes()
    said = refusal(assets, name, files)
    assert (assets / f"{name}.safetensors").read_bytes() == kept
    return said


def test_pirenders_average_is_preferred_and_the_trained_one_taken_where_there_is_none(assets, tmp_path):
    content = only_content("pirender")
    wrapped = {f"module.{key}": value for key, value in content["net_G_ema"].items()}
    torch.save({"net_G": wrapped, "opt_G": content["opt_G"]}, tmp_path / "file")
    done = run("pirender", [tmp_path / "file"])
    assert "its net_G was taken, as it has no net_G_ema" in done.output
    found = load_file(assets / "pirender.safetensors")
    assert all(torch.equal(found[key], value) for key, value in filled_state("pirender").items())


@pytest.mark.parametrize(("first_inputs", "release"), [(3, "vox"), (13, "vox-adv"), (None, None)])
def test_vox_and_vox_adv_are_told_apart_by_their_discriminator(first_inputs, release, assets, tmp_path):
    content = only_content("fomm")
    content.pop("discriminator")
    if first_inputs:
        content["discriminator"] = {"discs.1.down_blocks.0.conv.weight": torch.ones(1).expand(64, first_inputs, 4, 4)}
    torch.save(content, tmp_path / "file")
    done = run("fomm", [tmp_path / "file"])
    assert ("this is vox-adv" in done.output) == (release == "vox-adv")
    with safe_open(assets / "fomm.safetensors", framework="pt") as file:
        assert file.metadata().get("release") == release


@pytest.mark.parametrize(("name", "variant", "said"), [
    ("fomm3d", "Beta", "this is Vox-256-Beta, with the original decoder"),
    ("headgan", "audio", "this is HeadGAN with audio"),
    ("headgan", "without audio", "trained on pictures of LSFM, not of FLAME"),
])  # fmt: skip
def test_the_configuration_is_recognised_and_named(name, variant, said, assets, tmp_path):
    done = run(name, write_release(tmp_path / "release", name, variant))
    assert done.exit_code == 0
    assert said in done.output


@pytest.mark.parametrize("given", SYSTEMS)
def test_another_systems_file_is_named_with_its_command(given, assets, tmp_path):
    files = write_release(tmp_path / "release", given)[:1]
    for name in {*ONE_FILE, "lsr"} - {given}:
        said = refusal(assets, name, files)
        assert str(files[0]) in said
        if given == "lsr":
            assert "is a folder (a TensorFlow checkpoint, as lsr's), expected" in said
        else:
            assert f"holds the weights of {given}: `pwm assets import {given} {ASSETS[given].arguments}`" in said
        assert ASSETS[name].released_as in said


def test_weights_of_other_assets_are_named_both_ways(assets, tmp_path):
    said = refusal(assets, "fomm", [write_weights(tmp_path / "deca", "deca")])
    assert "holds the weights of deca: `pwm assets import deca FILE`" in said
    (given,) = write_release(tmp_path / "release", "pirender")
    assert "holds the weights of pirender: `pwm assets import pirender FILE`" in refusal(assets, "vgg19", [given])


def test_the_difference_is_told_with_its_first_ten_names_and_its_number(assets, tmp_path):
    content = only_content("pirender")
    state, file = content["net_G_ema"], tmp_path / "file"

    def said_of(changed: dict) -> str:
        torch.save({"net_G_ema": changed}, file)
        return refusal(assets, "pirender", [file])

    keys = list(state)
    said = said_of({key: state[key] for key in keys[12:]})
    assert f"holds no weights of pirender: it lacks 12 of {len(keys)} tensors: " in said
    named = said.split(" tensors: ")[1].split(" and 2 more")[0].split(", ")
    assert named == [f"generator.{key}" for key in keys[:10]]
    wide = next(key for key in keys if state[key].ndim == 4)
    said = said_of({**state, wide: torch.zeros(1, 2, 3, 4)})
    assert f"has 1 in another shape or type: generator.{wide} (1, 2, 3, 4) float32 where (" in said
    assert "has 1 in another shape or type" in said_of({**state, wide: state[wide].half()})
    said = said_of({**state, **{f"more{i}": torch.zeros(2) for i in range(11)}, "epoch": 3})
    assert "has 12 of another network: generator.more0, " in said
    assert "and 2 more; expected epoch_..." in said
    assert "has no generator of pirender: it holds state_dict, epoch" in refusal_of(
        assets, file, {"state_dict": {}, "epoch": 1}
    )
    assert "it holds a list" in refusal_of(assets, file, [1, 2])


def refusal_of(assets: Path, file: Path, content: Any) -> str:
    torch.save(content, file)
    return refusal(assets, "pirender", [file])


def test_3d_fomm_without_its_pose_is_no_fomm_and_the_part_is_named(assets, tmp_path):
    content = only_content("fomm3d")
    content.pop("he_estimator")
    torch.save(content, tmp_path / "file")
    assert "has no he_estimator of fomm3d: it holds generator, kp_detector, " in refusal(
        assets, "fomm3d", [tmp_path / "file"]
    )


@pytest.mark.parametrize("name", TORCH)
def test_numbers_that_are_not_finite_are_refused(name, assets, tmp_path):
    file, content = next(iter(contents(name).items()))
    state = {"x2face": "state_dict", "pirender": "net_G_ema", "fomm": "generator", "fomm3d": "generator"}.get(name)
    own = content[state] if state else content
    key = next(key for key in own if own[key].ndim == 4)
    own[key] = torch.full((1, 1, 1, 1), torch.nan).expand(own[key].shape)
    files = write_release(tmp_path / "release", name)
    write(tmp_path / "release" / file, name, content)
    said = refusal(assets, name, files)
    assert "has values that are not finite in 1 tensors: " in said
    assert key.removeprefix("pix2pixUnwrapped.") in said


IN_PLACE = {
    b"": "is empty",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 91\n": "is a git-lfs pointer",
    b"\n<!DOCTYPE html>\n<html><body>Too many users</body></html>": "is a web page",
}


def test_broken_numbers_of_a_tensorflow_checkpoint_are_refused_too(assets, tmp_path):
    arrays = lsr_arrays()
    name = next(key for key, array in arrays.items() if key.startswith("generator/") and array.ndim == 4)
    arrays[name] = np.full_like(arrays[name], np.inf)
    index, data = write_checkpoint(tmp_path / "lsr" / "ckpt-1", arrays)
    assert f"{index} has values that are not finite in 1 tensors: network.generator." in refusal(
        assets, "lsr", [index.parent]
    )
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert f"{data} is damaged: the checksum of " in refusal(assets, "lsr", [index.parent])


@pytest.mark.parametrize("name", SYSTEMS)
def test_truncated_files_and_what_came_in_their_place_are_refused(name, assets, tmp_path):
    files = write_release(tmp_path / "release", name)
    for broken in sorted(files[0].iterdir()) if name == "lsr" else files[:1]:
        whole = broken.read_bytes()
        for kept in (0.9999, 0.5, 0.01):
            broken.write_bytes(whole[: int(len(whole) * kept)])
            said = refusal(assets, name, files)
            assert str(broken) in said
            assert "truncated" in said or "damaged" in said
        for content, reason in IN_PLACE.items():
            broken.write_bytes(content)
            said = refusal(assets, name, files)
            assert f"{broken} {reason}" in said
            assert ASSETS[name].released_as in said
        broken.write_bytes(whole)


@pytest.mark.parametrize("name", TORCH)
def test_a_folder_is_no_file(name, assets, tmp_path):
    (tmp_path / "face").mkdir()
    assert f"{tmp_path / 'face'} is a folder, expected" in refusal(assets, name, [tmp_path / "face"])


def test_the_number_of_files_is_checked(assets, tmp_path):
    five = write_release(tmp_path / "bilayer", "bilayer")
    assert "expected 5 files (2225_" in refusal(assets, "bilayer", five[:4])
    said = refusal(assets, "bilayer", [*five[:4], five[0]])
    assert f"{five[0]} and {five[0]} are both identity_embedder; texture_enhancer may be missing" in said
    imported(assets, "bilayer", five[::-1])
    (one,) = write_release(tmp_path / "headgan", "headgan")
    assert "expected one file (latest_net_G.pth of checkpoints.zip), got 2: " in refusal(assets, "headgan", [one, one])
    said = refusal(assets, "bilayer", [*five[:4], one])
    assert f"{one} holds the weights of headgan" in said


def test_the_nearest_part_of_a_wrong_file_is_named(assets, tmp_path):
    five = write_release(tmp_path / "bilayer", "bilayer")
    content = contents("bilayer")[five[2].name]
    content.popitem()
    torch.save(content, five[2])
    said = refusal(assets, "bilayer", five)
    assert f"{five[2]} holds no part of bilayer: the nearest is keypoints_embedder, and it lacks 1 of" in said


def test_lsr_is_a_folder_with_one_checkpoint_or_one_that_is_the_latest(assets, tmp_path):
    (folder,) = write_release(tmp_path / "lsr", "lsr")
    index = folder / "ckpt-64.index"
    assert f"{index} is a file: give the folder that holds it" in refusal(assets, "lsr", [index])
    write_checkpoint(
        folder / "ckpt-65", lsr_arrays() | {"encoder/more/.ATTRIBUTES/VARIABLE_VALUE": np.ones(2, np.float32)}
    )
    assert "has 2 checkpoints (ckpt-64.index, ckpt-65.index), and no file `checkpoint`" in refusal(
        assets, "lsr", [folder]
    )
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-64"\nall_model_checkpoint_paths: "ckpt-64"\n')
    assert "model" not in imported(assets, "lsr", [folder]).name
    (folder / "checkpoint").write_text('model_checkpoint_path: "/old/place/ckpt-65"\n')
    said = refusal(assets, "lsr", [folder])
    assert "ckpt-65.index holds no weights of lsr: it has 1 of another network: encoder/more; expected" in said
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-66"\n')
    assert "names ckpt-66.index, which is not there" in refusal(assets, "lsr", [folder])
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme").write_text("x")
    assert "has no .index of a TensorFlow checkpoint: it holds readme" in refusal(assets, "lsr", [tmp_path / "none"])


def test_what_lies_in_the_folder_is_held_to_its_name_when_it_is_recorded(assets, tmp_path):
    path = imported(assets, "headgan", write_release(tmp_path / "release", "headgan"))
    shutil.copy(path, assets / "pirender.safetensors")
    state, facts = load_file(path), {"system": "headgan", "variant": "without audio"}

    def said_of(name: str) -> str:
        done = CliRunner().invoke(app, ["assets", "record", name])
        assert done.exit_code == 2, done.output
        return done.output

    assert "pirender.safetensors holds headgan without audio; expected what `pwm assets import pirender" in said_of(
        "pirender"
    )
    first = next(iter(state))
    save_file({**state, first: torch.full_like(state[first], torch.inf)}, path, facts)
    assert f"has values that are not finite in 1 tensors: {first}" in said_of("headgan")
    save_file({key: value for key, value in state.items() if key != first}, path, facts)
    assert f"lacks 1 of {len(state)} tensors: {first}" in said_of("headgan")
    with pytest.raises(ValueError, match="lacks 1 of .*: `pwm assets import headgan` writes it anew"):
        load_released("headgan", path)
    save_file(state, path)
    assert "holds weights of no known system" in said_of("headgan")
    path.write_text("<html>")
    assert "is a web page" in said_of("headgan")
    save_file(state, path, facts)
    assert CliRunner().invoke(app, ["assets", "record", "headgan"]).exit_code == 0
