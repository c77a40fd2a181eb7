"""An asset is found by its name, and refused unless it is the file on record."""

import json
import os

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.stand_ins import write_release
from pipeline.adoption.stages import check_fit_weights
from pipeline.assets import ASSETS
from pipeline.cli import app
from pipeline.metrics.protocols import Opening
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import load_params
from pipeline.store.assets import AssetMissing, AssetRefused, read_record, require
from pipeline.store.closure import closure
from pipeline.store.provenance import sha256_file
from pipeline.training.run import perceptual_weights
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT


@pytest.fixture
def assets(tmp_path, monkeypatch):
    return project_with_assets(monkeypatch, tmp_path / "project")


@pytest.fixture
def releases(tmp_path):
    """Two releases of one network, the asset `arcface`."""
    return [write_release(tmp_path / f"{value}.onnx", "arcface", value) for value in (0.25, 0.75)]


def pwm(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["assets", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_record_of_the_project_names_every_asset_in_order():
    assert list(json.loads((ROOT / "assets.lock.json").read_text())) == sorted(ASSETS)


def test_no_stage_depends_on_the_table_of_assets():
    for stage in sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")):
        assert ROOT / "pipeline" / "assets.py" not in closure(f"stages.{stage}", plugins=True)


def test_importing_records_the_file_and_another_release_changes_the_record(assets, releases):
    for file in releases:
        pwm("import", "arcface", file)
        assert read_record()["arcface"] == sha256_file(file) == sha256_file(require("arcface"))
    record = json.loads((assets.parent / "assets.lock.json").read_text())
    assert list(record) == sorted(ASSETS)
    assert {name for name, sha256 in record.items() if sha256} == {"arcface"}
    assert not list(assets.glob("*.partial"))


def test_a_file_swapped_under_its_record_is_refused_until_it_is_taken(assets, releases):
    pwm("import", "arcface", releases[0])
    (assets / "arcface.onnx").write_bytes(releases[1].read_bytes())
    with pytest.raises(AssetRefused) as caught:
        require("arcface")
    message = str(caught.value)
    hashes = [sha256_file(file) for file in releases]
    assert all(
        part in message
        for part in (str(assets / "arcface.onnx"), *hashes, "pwm assets import arcface", "pwm assets record")
    )
    assert "\n" not in message
    assert f"recorded as {hashes[0]}" in pwm("status")
    assert f"arcface            {hashes[0]} -> {hashes[1]}" in pwm("record", "arcface")
    assert require("arcface") == assets / "arcface.onnx"


def test_a_swapped_file_of_equal_size_and_time_is_seen_in_the_same_process(assets, releases):
    pwm("import", "arcface", releases[0])
    path = require("arcface")
    state = path.stat()
    path.write_bytes(releases[0].read_bytes()[::-1])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(AssetRefused):
        require("arcface")


def test_a_file_that_nobody_recorded_is_refused_and_recorded_by_command(assets, releases, tmp_path, monkeypatch):
    """A folder shared by projects: imported in one, met in another."""
    pwm("import", "arcface", releases[0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssetRefused, match=r"arcface\.onnx is there, but not on record .* `pwm assets record arcface`"):
        require("arcface")
    assert "not recorded" in pwm("status")
    pwm("record")
    assert require("arcface") == assets / "arcface.onnx"
    assert "as recorded" in pwm("status")


def test_a_recorded_file_that_is_gone_is_refused_and_forgotten_by_command(assets, releases):
    pwm("import", "arcface", releases[0])
    (assets / "arcface.onnx").unlink()
    with pytest.raises(AssetRefused, match=r"there is no .*arcface\.onnx: `pwm assets fetch arcface`.*record arcface"):
        require("arcface")
    pwm("record", "arcface")
    with pytest.raises(AssetMissing, match="pwm assets import arcface FILE"):
        require("arcface")


@pytest.mark.parametrize("text", ["{", "[]", '{"arcface": "short"}', '{"arcface": 3}'])
def test_a_damaged_record_is_named_with_the_remedy(text, assets, releases):
    pwm("import", "arcface", releases[0])
    record = assets.parent / "assets.lock.json"
    record.write_text(text)
    with pytest.raises(ValueError, match=r"assets\.lock\.json .*`pwm assets record` writes it anew"):
        require("arcface")
    assert CliRunner().invoke(app, ["assets", "import", "arcface", str(releases[1])]).exit_code == 2
    assert sha256_file(assets / "arcface.onnx") == sha256_file(releases[0])
    pwm("record")
    assert require("arcface") == assets / "arcface.onnx"


def test_a_head_that_comes_with_another_is_imported_with_that(assets, releases):
    done = CliRunner().invoke(app, ["assets", "import", "ict_face", str(releases[0])])
    assert done.exit_code == 2
    assert "`pwm assets import ict FaceXModel`" in done.output


def test_fits_of_another_release_are_not_taken_over(assets, releases, tmp_path):
    with pytest.raises(ValueError, match="fits: its weights of deca is .*, wanted now is None"):
        check_fit_weights("fits", "deca", sha256_file(releases[0]))
    pwm("import", "deca", write_release(tmp_path / "deca", "deca"))
    check_fit_weights("fits", "deca", sha256_file(tmp_path / "deca"))
    check_fit_weights("fits", "puppet_tracker", "shipped, so a dependency of its own")
    with pytest.raises(ValueError, match=sha256_file(tmp_path / "deca")):
        check_fit_weights("fits", "deca", sha256_file(releases[1]))


def test_a_recipe_trains_with_the_asset_that_it_names(assets, tmp_path):
    section = load_params(ROOT / "profiles" / "voxceleb.yaml").networks["paper256"].pwm.perceptual
    with pytest.raises(AssetMissing, match="pwm assets import vgg19 FILE"):
        perceptual_weights(section)
    pwm("import", "vgg19", write_release(tmp_path / "vgg19", "vgg19"))
    assert perceptual_weights(section) == assets / "vgg19.pth"
    (assets / "vgg19.pth").write_bytes(b"swapped")
    with pytest.raises(AssetRefused, match="vgg19.pth has sha256"):
        perceptual_weights(section)


def test_a_metric_whose_weights_were_swapped_stops_the_evaluation_and_leaves_no_dash(assets, releases, tmp_path):
    params = load_params(ROOT / "tests" / "data" / "small.yaml").metrics
    metrics = type(params).model_validate({**params.model_dump(), "lpips": {"backend": "lpips_alex"}})
    heads = {name: ROOT / f"pipeline/puppets/assets/{name}.npz" for name in ("puppet", "puppet_face")}
    opening = Opening(heads, 0.5, torch.device("cpu"))
    reasons = {m.metric.name: m.reason for m in open_measures(metrics, tuple(heads), (64, 64), opening)}
    assert "pwm assets import lpips_alex" in reasons["lpips"]
    pwm("import", "lpips_alex", write_release(tmp_path / "alexnet", "lpips_alex"))
    (assets / "alexnet.pth").write_bytes(releases[1].read_bytes())
    with pytest.raises(AssetRefused, match=r"alexnet\.pth has sha256"):
        open_measures(metrics, tuple(heads), (64, 64), opening)


@pytest.mark.parametrize("folder", [None, "data/assets", "../shared assets"])
@pytest.mark.parametrize("weights", ["vgg19", "data/assets/vgg19.pth"])
def test_a_perceptual_network_is_found_from_dvcs_copy_too(weights, folder, tmp_path, monkeypatch):
    """As `dvc exp run --temp` does it: the copy has what git has, $DVC_ROOT is the main project."""
    project, copy = tmp_path / "project", tmp_path / "project" / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("PWM_ASSETS", raising=False)
    if folder:
        monkeypatch.setenv("PWM_ASSETS", folder)
    pwm("import", "vgg19", write_release(tmp_path / "vgg19", "vgg19"))
    section = load_params(ROOT / "profiles" / "voxceleb.yaml").networks["paper256"].pwm.perceptual
    section = section.model_copy(update={"weights": weights})
    assert sha256_file(perceptual_weights(section)) == sha256_file(tmp_path / "vgg19")
    (copy / "assets.lock.json").write_bytes((project / "assets.lock.json").read_bytes())
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert sha256_file(perceptual_weights(section)) == sha256_file(tmp_path / "vgg19")
