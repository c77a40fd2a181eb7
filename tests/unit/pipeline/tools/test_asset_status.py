"""`pwm assets status` and `verify`: what a profile lacks, and the commands after which it lacks nothing."""

import re

import pytest
from typer.testing import CliRunner

from benchmarks.stand_ins import write_release
from pipeline.cli import app
from pipeline.params.tree import load_params
from pipeline.store.assets import AssetMissing, require, table
from pipeline.tools.assets import commands_for, used_by
from pipeline.weights.collect import used_assets
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT

VOXCELEB = ROOT / "profiles" / "voxceleb.yaml"
FETCHED = ["arcface", "fan", "inception", "lpips_alex", "s3fd", "vgg19"]


@pytest.fixture
def assets(tmp_path, monkeypatch):
    return project_with_assets(monkeypatch, tmp_path / "project")


def pwm(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["assets", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def commands(said: str) -> list[str]:
    return re.findall(r"^missing: `(.+)`$", said, re.M)


def test_one_command_fetches_all_that_may_be_fetched_and_each_other_file_has_its_own(assets):
    said = pwm("status", "--params", VOXCELEB)
    used = {name for names in used_assets(load_params(VOXCELEB)).values() for name in names}
    assert used > {*FETCHED, "bfm", "deca", "deep3d", "flame"}
    fetch, *imports = commands(said)
    assert fetch == f"pwm assets fetch {' '.join(FETCHED)}"
    assert [command.split()[3] for command in imports] == sorted(used - {*FETCHED})
    assert f"voxceleb.yaml uses {len(used)} of them, 0 are there as recorded" in said
    assert re.search(r"^deca .*; used by .*fit\.flame, metrics$|^deca .*; used by fit\.flame, metrics$", said, re.M)
    assert not re.search(r"^ict .*used by", said, re.M)


def test_what_is_there_is_no_longer_missing_and_what_nobody_recorded_has_its_own_command(assets, tmp_path):
    pwm("import", "vgg19", write_release(tmp_path / "vgg19", "vgg19"))
    write_release(assets / "fan.pth", "fan")
    (assets / "vgg19.pth").with_name("s3fd.pth").write_bytes(b"")
    record, fetch, *_ = commands(pwm("status", "--params", VOXCELEB))
    assert record == "pwm assets record fan s3fd"
    assert fetch == "pwm assets fetch arcface inception lpips_alex"


def test_a_profile_that_needs_nothing_says_so(assets):
    params = load_params(ROOT / "profiles" / "puppets.yaml")
    assert used_by(params.model_copy(update={"bench": params.bench.model_copy(update={"baselines": []})})) == {}
    assert commands_for([]) == []


def test_without_a_profile_there_is_still_a_list_but_a_named_one_must_exist(assets):
    said = pwm("status")
    assert "no params.yaml here" in said
    assert all(re.search(rf"^{name} ", said, re.M) for name in table())
    assert "absent.yaml" in pwm("status", "--params", "absent.yaml", code=2)


def test_a_missing_asset_is_met_with_the_command_that_helps(assets):
    for name, asset in table().items():
        with pytest.raises(AssetMissing) as caught:
            require(name)
        first = re.search(r"`(pwm assets [^`]+)`", str(caught.value))[1]
        assert first.startswith(f"pwm assets fetch {asset.fetch}" if asset.fetch else "pwm assets import")
        assert f"`{first}`" in re.search(rf"^{name} .*$", pwm("status"), re.M)[0]


def test_verify_reads_everything_again(assets, tmp_path):
    assert "0 assets are as recorded" in pwm("verify")
    for name in ("vgg19", "lpips_alex"):
        pwm("import", name, write_release(tmp_path / name, name))
    assert "2 assets are as recorded" in pwm("verify")
    (assets / "vgg19.pth").write_bytes(b"swapped")
    said = pwm("verify", code=1)
    assert re.search(r"^vgg19 +.*vgg19\.pth has sha256 .*`pwm assets fetch vgg19`", said, re.M)
    assert re.search(r"^lpips_alex +as recorded$", said, re.M)
    assert "error: 1 of 2 assets are not what assets.lock.json says: vgg19" in said
    pwm("verify", "lpips_alex")
    assert "deca is neither there nor on record: get deca_model.tar" in pwm("verify", "deca", code=2)
    (assets / "vgg19.pth").unlink()
    assert "but there is no " in pwm("verify", code=1)
    assert "unknown asset 'vgg'" in pwm("verify", "vgg", code=2)
