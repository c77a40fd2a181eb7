"""`pwm assets fetch` of what owners publish, from a loopback server that a package of the test's own states."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.stand_ins import write_release
from model.heads.arrays import load_arrays
from pipeline.cli import app
from pipeline.fetching.stated import Stated
from pipeline.fetching.table import FREE, Published
from pipeline.store.assets import read_record, require
from pipeline.store.provenance import sha256_file
from tests.asset_folder import project_with_assets
from tests.helpers import shared
from tests.loopback import Served


@pytest.fixture
def assets(tmp_path, monkeypatch, loopback):
    monkeypatch.setattr("pipeline.fetching.download._PAUSES_S", (0.0,))
    return project_with_assets(monkeypatch, tmp_path / "project")


@pytest.fixture
def states(tmp_path, monkeypatch, loopback):
    """Let a package state that an asset lies on the loopback server, as this file; gives the file to the server."""
    folder = tmp_path / "installed"
    package = folder / f"owner_{abs(hash(tmp_path)):x}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(folder))

    def state(name: str, file: str, body: bytes, member: str = "") -> Served:
        (package / f"{name}.py").write_text(f"# where it lies\nURL = '{loopback.url}/{file}'\n")
        address = Stated(package.name, f"{name}.py", (("URL",),))
        monkeypatch.setitem(FREE, name, Published(address, FREE[name].terms, FREE[name].licensed_with, member))
        loopback.files[f"/{file}"] = Served(body)
        return loopback.files[f"/{file}"]

    return state


def named(body: bytes, stem: str, suffix: str = "pth") -> str:
    """A file's name with the beginning of its hash, as torch's owners write it."""
    return f"{stem}-{hashlib.sha256(body).hexdigest()[:8]}.{suffix}"


def release(folder: Path, name: str, value: float = 0.5) -> bytes:
    return write_release(folder / f"{name}.{value}", name, value).read_bytes()


def pack(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "/"), body)
    return buffer.getvalue()


def pwm(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["assets", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def refusal(*arguments: object) -> str:
    lines = [line for line in pwm(*arguments, code=2).splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_weights_come_with_a_card_that_names_file_and_line(assets, states, tmp_path, loopback):
    body = release(tmp_path, "vgg19")
    states("vgg19", named(body, "vgg19"), body)
    said = pwm("fetch", "vgg19")
    assert require("vgg19").read_bytes() == body
    card = json.loads((assets / "vgg19.pth.json").read_text())
    assert card["address"] == f"{loopback.url}/{named(body, 'vgg19')}"
    assert "/vgg19.py:2 (" in card["stated_in"]
    assert card["fetched_sha256"] == card["sha256"] == hashlib.sha256(body).hexdigest()
    assert FREE["vgg19"].terms in said
    assert "publishes no hash" not in said
    assert card["address"] in (assets / "vgg19.pth.NOTICE").read_text()
    assert not (assets / "fetching").exists()


def test_the_licence_of_the_package_lies_beside_the_file(assets, states, tmp_path):
    body = release(tmp_path, "lpips_alex")
    states("lpips_alex", named(body, "alexnet"), body)
    pwm("fetch", "lpips_alex")
    assert b"Redistribution and use in source and binary forms" in (assets / "alexnet.pth.LICENSE").read_bytes()


def test_a_download_that_was_cut_off_goes_on_with_the_next_command(assets, states, tmp_path, loopback):
    body = release(tmp_path, "fan")
    served = states("fan", named(body, "2DFAN4", "pth.tar"), body)
    served.drop_after, served.ranges = len(body) // 2, False
    said = refusal("fetch", "fan")
    assert f"fan: {loopback.url}/" in said
    assert f"{len(body) // 2} bytes are kept, and the same command goes on from there" in said
    assert read_record()["fan"] is None
    served.drop_after, served.ranges = None, True
    loopback.asked.clear()
    pwm("fetch", "fan")
    assert [asked for _, asked in loopback.asked] == [f"bytes={len(body) // 2}-"]
    assert require("fan").read_bytes() == body


def test_another_file_under_the_owners_name(assets, states, tmp_path):
    body = release(tmp_path, "s3fd")
    served = states("s3fd", named(body, "s3fd"), body)
    served.body = release(tmp_path, "s3fd", 0.75)
    assert "should begin with" in refusal("fetch", "s3fd")
    served.body = b"<html>sign in</html>"
    assert "gives a web page, not a file" in refusal("fetch", "s3fd")
    assert not list(assets.glob("*"))


def test_another_network_with_the_right_hash_is_refused_by_its_content(assets, states, tmp_path):
    body = release(tmp_path, "s3fd")
    states("fan", named(body, "2DFAN4"), body)
    assert "holds the weights of s3fd" in refusal("fetch", "fan")
    assert not list(assets.rglob("*.pth*"))


def test_where_no_hash_is_published_the_first_one_is_recorded_and_held_to(assets, states, tmp_path):
    files = {"det_10g.onnx": b"a detector", "w600k_r50.onnx": release(tmp_path, "arcface")}
    served = states("arcface", "buffalo_l.zip", pack(**files), "w600k_r50.onnx")
    said = pwm("fetch", "arcface")
    sha256 = hashlib.sha256(files["w600k_r50.onnx"]).hexdigest()
    assert f"its owner publishes no hash; assets.lock.json records {sha256}" in said
    assert "for non-commercial research only" in said
    assert require("arcface").read_bytes() == files["w600k_r50.onnx"]
    (assets / "arcface.onnx").unlink()
    served.body = pack(**files | {"w600k_r50.onnx": release(tmp_path, "arcface", 0.75)})
    served.tag = '"two"'
    said = refusal("fetch", "arcface")
    assert f"but assets.lock.json records {sha256}" in said
    assert not (assets / "arcface.onnx").exists()
    served.body, served.tag = pack(**files), '"three"'
    assert "publishes no hash" not in pwm("fetch", "arcface")
    assert sha256_file(require("arcface")) == sha256


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"PK\x03\x04 cut off", "is no whole archive"),
        (pack(readme=b"no network"), "holds no w600k_r50.onnx: readme"),
        (pack(**{"buffalo_l__w600k_r50.onnx": b"no network"}), "is a text that begins with 'no network'"),
    ],
)
def test_packs_that_are_none(body, reason, assets, states):
    states("arcface", "buffalo_l.zip", body, "w600k_r50.onnx")
    assert reason in refusal("fetch", "arcface")
    assert not (assets / "fetching").exists()


def test_a_name_in_a_pack_never_leads_out_of_the_folder(assets, states, tmp_path):
    body = pack(**{"..__..__w600k_r50.onnx": release(tmp_path, "arcface")})
    states("arcface", "buffalo_l.zip", body, "w600k_r50.onnx")
    pwm("fetch", "arcface")
    assert [path.parent for path in tmp_path.rglob("*.onnx")] == [assets]


def test_each_is_tried_and_those_that_failed_are_named(assets, states, tmp_path, loopback):
    bodies = {name: release(tmp_path, name) for name in ("fan", "s3fd", "vgg19")}
    for name, body in bodies.items():
        states(name, named(body, name), body)
    loopback.files[f"/{named(bodies['fan'], 'fan')}"].status = 403
    said = refusal("fetch", *bodies)
    assert "403 Forbidden" in said
    assert "s3fd" not in said
    assert {name for name, sha256 in read_record().items() if sha256} == {"s3fd", "vgg19"}


def test_a_folder_of_a_repositorys_archive_becomes_its_heads_with_the_archives_licence(assets, states):
    release_file = shared("ict_facekit/ict_facekit.npz").read_bytes()
    folder = {"ICT-FaceKit-HEAD__FaceXModel__ict_facekit.npz": release_file, "ICT-FaceKit-HEAD__LICENSE": b"MIT"}
    served = states(
        "ict", "HEAD.zip", pack(**folder, **{"ICT-FaceKit-HEAD__sample.npz": b"another folder's"}), "FaceXModel"
    )
    said = pwm("fetch", "ict")
    recorded = read_record()
    for name in ("ict", "ict_face"):
        assert load_arrays(require(name)).name == name
        assert (assets / f"{name}.npz.LICENSE").read_bytes() == b"MIT"
    assert f"publishes no hash; assets.lock.json records {recorded['ict']}" in said
    assert "there already" in pwm("fetch", "ict_face")
    (assets / "ict.npz").unlink()
    served.tag = '"two"'
    pwm("fetch", "ict")
    assert read_record() == recorded
