"""`pwm assets import flame|bfm|ict`: what becomes of a release's files, and what is refused, with which words."""

import json
import os
import pickle
import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.stand_ins import write_release
from model.heads.arrays import arrays_sha256, load_arrays
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.pwm.config import GUIDANCE_PARTS, GuidanceConfig
from model.pwm.guidance import Guidance
from model.releases.ict import import_ict, import_ict_face
from model.render.raster import rasterize
from pipeline.cli import app
from pipeline.heads.bring import write_heads
from pipeline.store.provenance import sha256_file
from pipeline.tools.assets import status
from tests.asset_folder import project_with_assets
from tests.helpers import shared
from tests.releases import (
    bfm_variables,
    chumpy,
    embedding_arrays,
    flame_arrays,
    write_embedding,
    write_flame,
    write_mat,
)

FLAT_SIZE = (24, 40)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A folder with a FLAME pickle, DECA's embedding and a BFM mat."""
    folder = tmp_path_factory.mktemp("release")
    flame = flame_arrays()
    write_flame(folder / "generic_model.pkl", flame)
    write_embedding(folder / "landmark_embedding.npy", embedding_arrays(flame))
    write_mat(folder / "BFM_model_front.mat", bfm_variables())
    return folder


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    return project_with_assets(monkeypatch, tmp_path / "project")


def pwm_import(*arguments: object):
    return CliRunner().invoke(app, ["assets", "import", *map(str, arguments)])


def refused(assets: Path, *arguments: object) -> str:
    """The one line that a refused import ends in; nothing may have been written."""
    done = pwm_import(*arguments)
    assert done.exit_code == 2, done.output
    assert not list(assets.glob("*")) if assets.exists() else True
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def imported(release, tmp_path_factory) -> Path:
    """An assets folder with both heads, made through the command line."""
    with pytest.MonkeyPatch.context() as patch:
        folder = project_with_assets(patch, tmp_path_factory.mktemp("project"))
        for name, files in (
            ("flame", ("landmark_embedding.npy", "generic_model.pkl")),
            ("bfm", ("BFM_model_front.mat",)),
        ):
            done = pwm_import(name, *(release / file for file in files))
            assert (done.exit_code, done.stdout) == (0, f"{folder / name}.npz\n"), done.output
    return folder


def test_flame_keeps_what_deca_uses(imported):
    head, source = load_arrays(imported / "flame.npz"), flame_arrays()
    np.testing.assert_array_equal(head.template, source["v_template"].astype(np.float32))
    np.testing.assert_array_equal(head.triangles, source["f"])
    directions = source["shapedirs"].astype(np.float32).transpose(2, 0, 1)
    np.testing.assert_array_equal(head.shape_basis, directions[:100])
    np.testing.assert_array_equal(head.expression_basis, directions[300:350])
    np.testing.assert_array_equal(head.pose_basis, source["posedirs"].astype(np.float32).transpose(2, 0, 1))
    np.testing.assert_array_equal(head.joint_regressor, source["J_regressor"].astype(np.float32))
    np.testing.assert_array_equal(head.skin_weights, source["weights"])
    assert head.joint_parents.tolist() == [-1, 0, 1, 1, 1]
    assert head.joint_names.tolist() == ["root", "neck", "jaw", "eye_left", "eye_right"]
    assert (head.camera, head.rotation, head.unit) == ("scaled_orthographic", "axis_angle", "m")
    marks = embedding_arrays(source)
    np.testing.assert_array_equal(head.landmark_triangles[17:], marks["static_lmk_faces_idx"])
    np.testing.assert_array_equal(head.contour_triangles, marks["dynamic_lmk_faces_idx"].numpy())


def test_a_head_has_a_card_with_the_hashes_of_its_inputs(imported, release):
    card = json.loads((imported / "flame.npz.json").read_text())
    inputs = {name: sha256_file(release / name) for name in ("generic_model.pkl", "landmark_embedding.npy")}
    assert card["inputs"] == inputs
    assert card["sha256"] == sha256_file(imported / "flame.npz")
    assert card["head_sha256"] == load_head(imported / "flame.npz").sha256
    assert "non-commercial" in card["licence"]


def test_bfm_agrees_with_deep3ds_formulas(imported):
    """Vertices, rotation, camera and landmarks of models/bfm.py, in float64 on the file's own arrays."""
    source, head = bfm_variables(), load_head(imported / "bfm.npz").double()
    rng = np.random.default_rng(0)
    shape, expression = rng.normal(0, 1, (3, 80)), rng.normal(0, 1, (3, 64))
    angles, translation = rng.normal(0, 0.4, (3, 3)), rng.normal(0, 0.2, (3, 3))
    mean = source["meanshape"].reshape(-1, 3)
    verts = (shape @ source["idBase"].T + expression @ source["exBase"].T).reshape(3, -1, 3) + mean - mean.mean(0)
    for item in range(3):
        (cx, cy, cz), (sx, sy, sz) = np.cos(angles[item]), np.sin(angles[item])
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        verts[item] = verts[item] @ (about_z @ about_y @ about_x).T + translation[item]
    px = np.stack(
        [1015 * verts[..., 0] / (10 - verts[..., 2]) + 112, 1015 * verts[..., 1] / (10 - verts[..., 2]) + 112]
    )
    fit = HeadFit(
        *map(torch.from_numpy, (shape, expression, angles, translation)), torch.tensor([[1.0, 0, 0, 0, 1, 0]] * 3)
    )
    ndc = head.place(fit.to(torch.float64))[..., :2]
    found = torch.stack([(ndc[..., 0] + 1) * 112, 224 - (ndc[..., 1] + 1) * 112])  # Deep3D's y runs up
    np.testing.assert_allclose(found, px, atol=1e-4)
    keypoints = source["keypoints"].ravel() - 1
    marks = head.place_landmarks(fit.to(torch.float64))
    np.testing.assert_allclose(marks, ndc[:, keypoints], atol=1e-12)


def test_bfm_faces_the_viewer_however_its_triangles_are_wound(assets, tmp_path, imported):
    variables = bfm_variables()
    variables["tri"] = variables["tri"][:, ::-1]
    assert pwm_import("bfm", write_mat(tmp_path / "BFM_model_front.mat", variables)).exit_code == 0
    for head in (load_head(assets / "bfm.npz"), load_head(imported / "bfm.npz")):
        corners = head.template[head.triangles]
        normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (normals[:, 2] > 0).all()


def test_bfm_takes_landmarks_from_its_companion_and_names_what_it_does_not_need(assets, tmp_path, imported):
    variables = bfm_variables()
    info = {name: variables.pop(name) for name in ("tri", "keypoints")}
    front = write_mat(tmp_path / "BFM_model_front.mat", variables)
    assert "lacks tri, keypoints; facemodel_info.mat has them" in refused(assets, "bfm", front)
    write_mat(tmp_path / "facemodel_info.mat", info)
    write_mat(tmp_path / "similarity_Lm3D_all.mat", {"lm": np.zeros((68, 3))})
    done = pwm_import("bfm", tmp_path)
    assert "not needed for the head: similarity_Lm3D_all.mat" in done.stderr
    assert load_head(assets / "bfm.npz").sha256 == load_head(imported / "bfm.npz").sha256


@pytest.mark.parametrize("name", ["flame", "bfm"])
def test_a_benchmark_finds_an_imported_head_in_the_assets_folder(name, imported, tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path, imported)
    (tmp_path / "heads").mkdir()
    write_heads([name], tmp_path / "heads", tmp_path / "out")
    assert load_head(tmp_path / "out" / f"{name}.npz").sha256 == load_head(imported / f"{name}.npz").sha256
    project_with_assets(monkeypatch, tmp_path, tmp_path / "none")
    with pytest.raises(
        FileNotFoundError, match=rf"head '{name}': neither .*heads.* nor .*none.*pwm assets import {name}"
    ):
        write_heads([name], tmp_path / "heads", tmp_path / "out")


def test_status_tells_imported_heads_from_missing_ones(imported, tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path, imported)
    present = {row.name: row.present for row in status()}
    assert (present["flame"], present["bfm"], present["ict"], present["deca"]) == ("yes", "yes", "no", "no")
    listed = CliRunner().invoke(app, ["assets", "status"])
    assert f"flame              yes  sha256 {sha256_file(imported / 'flame.npz')[:12]}" in listed.stdout


@pytest.mark.parametrize("guidance", sorted(GUIDANCE_PARTS))
@pytest.mark.parametrize("name", ["flame", "bfm"])
def test_guidance_is_rendered_from_imported_heads(name, guidance, imported):
    torch.manual_seed(0)
    head = load_head(imported / f"{name}.npz")
    camera = torch.tensor([[0.0, 0, 0]] if name == "bfm" else [[8.0, 0, 0]])
    pose = torch.zeros(1, head.num_pose)
    still = HeadFit(
        torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression), pose, camera,
        torch.tensor([[1.0, 0, 0, 0, 1, 0]]),
    )  # fmt: skip
    turned = still.replace(pose=pose + torch.tensor([0.2, 0.3, 0.0] + [0.0] * (head.num_pose - 3)))
    config = GuidanceConfig(name=guidance, render_px=48, code_dim=4, code_std=1.0, code_frequency=1.5)
    maps = Guidance(head, config)(head, still, turned, FLAT_SIZE)
    covered = rasterize(head.place(turned), head.triangles, (48, 80), perspective=head.perspective).covered
    assert 0.1 < covered.float().mean() < 0.9
    assert maps.driving.shape[2:] == FLAT_SIZE
    assert maps.driving.isfinite().all()
    assert (maps.driving[:, :, 12, 20].abs() > 0).all()  # the face's middle, where every channel has a value
    assert (maps.driving[:, :, 0, 0] == 0).all()


class Call:
    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_flame_pickle_that_runs_code_is_refused_with_file_and_class(assets, tmp_path, release):
    call = Call()
    call.marker = tmp_path / "ran"
    twin = write_flame(tmp_path / "twin.pkl", flame_arrays(), pickle.Pickler, bs_hook=call)
    message = refused(assets, "flame", twin, release / "landmark_embedding.npy")
    assert "twin.pkl asks for posix.system, which FLAME's model pickle" in message
    assert "nothing of it was run" in message
    np.save(tmp_path / "twin.npy", {**embedding_arrays(flame_arrays()), "full_lmk_faces_idx": call}, allow_pickle=True)
    assert "twin.npy asks for posix.system" in refused(
        assets, "flame", release / "generic_model.pkl", tmp_path / "twin.npy"
    )
    assert not call.marker.exists()


def without(arrays: dict, *names: str, **changes) -> dict:
    return {name: value for name, value in arrays.items() if name not in names} | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: without(a, "posedirs"), "it lacks posedirs"),
        (lambda a: without(a, shapedirs=a["shapedirs"][..., :10]), r"shapedirs is .*10\), expected \(V, 3, 400\)"),
        (lambda a: without(a, weights=np.ones((3, 24))), r"weights is \(3, 24\), expected \(864, 5\)"),
        (
            lambda a: without(a, kintree_table=np.array([[-1, 0, 0, 0, 0], range(5)])),
            r"joints hang on \(0, 0, 0, 0\), expected \(0, 1, 1, 1\)",
        ),
        (lambda a: without(a, v_template=np.array(1.0)), r"v_template is \(1,\), expected \(1, 3\)"),
        (lambda a: without(a, f=a["f"] + 9000), r"f has a number outside 0\.\.863"),
        (lambda a: without(a, posedirs=a["posedirs"] * np.nan), "posedirs has a value that is not finite"),
    ],
)
def test_a_pickle_that_is_not_flame_is_refused(assets, tmp_path, release, change, message):
    file = tmp_path / "other.pkl"
    with chumpy() as (ch, _), file.open("wb") as stream:
        pickle.dump({name: ch(x=value) for name, value in change(flame_arrays()).items()}, stream, 2)
    line = refused(assets, "flame", file, release / "landmark_embedding.npy")
    assert "other.pkl" in line
    assert re.search(message, line), line


def test_flame_needs_both_files_and_says_which_is_missing(assets, tmp_path, release):
    model, embedding = release / "generic_model.pkl", release / "landmark_embedding.npy"
    message = refused(assets, "flame", model)
    assert "expected one landmark_embedding.npy, got none of the given files" in message
    assert "pwm assets import flame generic_model.pkl landmark_embedding.npy" in message
    assert "expected one model pickle, got none" in refused(assets, "flame", embedding)
    assert "there is no file" in refused(assets, "flame", model, tmp_path / "landmark_embedding.npy")
    second = shutil.copy(model, tmp_path / "female_model.pkl")
    assert "expected one model pickle, got" in refused(assets, "flame", model, second, embedding)


def test_an_embedding_of_another_layout_is_refused(assets, tmp_path, release):
    marks = embedding_arrays(flame_arrays())
    for change, message in (
        (
            {"dynamic_lmk_faces_idx": torch.zeros(78, 17, dtype=torch.long)},
            "dynamic_lmk_faces_idx is (78, 17), expected",
        ),
        ({"static_lmk_faces_idx": np.full(51, 10**6)}, "static_lmk_faces_idx has a number outside"),
        ({"static_lmk_bary_coords": np.full((51, 3), np.nan)}, "static_lmk_bary_coords has a value that is not finite"),
    ):
        file = write_embedding(tmp_path / "other.npy", {**marks, **change})
        assert message in refused(assets, "flame", release / "generic_model.pkl", file)
    np.save(tmp_path / "plain.npy", np.zeros(3))
    assert "plain.npy is damaged, or not DECA's landmark_embedding.npy" in refused(
        assets, "flame", release / "generic_model.pkl", tmp_path / "plain.npy"
    )


def test_truncated_and_foreign_files_are_refused(assets, tmp_path, release):
    cut = tmp_path / "cut.pkl"
    cut.write_bytes((release / "generic_model.pkl").read_bytes()[:-1000])
    assert "cut.pkl is damaged, or not FLAME's model pickle" in refused(
        assets, "flame", cut, release / "landmark_embedding.npy"
    )
    text = tmp_path / "text.mat"
    text.write_text("no matrix")
    assert "text.mat is damaged, or no MATLAB 5 file" in refused(assets, "bfm", text)
    whole = (release / "BFM_model_front.mat").read_bytes()
    for length in (0, 60, 200, len(whole) // 2, len(whole) - 1000):
        (tmp_path / "cut.mat").write_bytes(whole[:length])
        assert "cut.mat" in refused(assets, "bfm", tmp_path / "cut.mat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapeMU": np.zeros((9, 1))}, "is Basel's own release: expected BFM_model_front.mat"),
        ({"idBase": np.zeros((9, 199))}, "idBase is (9, 199)"),
        ({"exBase": np.zeros((9, 79))}, "exBase is (9, 79)"),
        ({"keypoints": np.ones((1, 51))}, "keypoints has 51 numbers, expected 68"),
        ({"tri": np.full((4, 3), 10**6)}, "tri has a number outside 1.."),
        ({"tri": np.zeros((4, 3), int)}, "tri has a number outside 1.."),
        ({"meanshape": np.full((1, 9), np.nan)}, "meanshape has a value that is not finite"),
    ],
)
def test_another_bfm_is_refused(assets, tmp_path, change, message):
    file = write_mat(tmp_path / "BFM_model_front.mat", bfm_variables() | change)
    assert message in refused(assets, "bfm", file)


def test_bfm_files_of_two_releases_are_refused(assets, tmp_path, release):
    other = write_mat(tmp_path / "facemodel_info.mat", {"keypoints": np.ones((1, 68), np.int32)})
    message = refused(assets, "bfm", release / "BFM_model_front.mat", other)
    assert "its keypoints is not that of" in message
    foreign = write_mat(tmp_path / "texture.mat", {"uv": np.zeros(3)})
    assert "texture.mat holds uv: expected" in refused(assets, "bfm", release / "BFM_model_front.mat", foreign)
    assert "expected one BFM_model_front.mat, got none" in refused(assets, "bfm", other)


def test_icts_own_files_are_imported_in_part_and_the_missing_ones_named(assets):
    folder = shared("ict_facekit/FaceXModel")
    done = pwm_import("ict", folder)
    assert done.exit_code == 0, done.output
    assert "the release has 149 more files: identity002.obj to identity099.obj, browDown_L.obj, " in done.stderr
    assert "jawOpen.obj" not in done.stderr
    card = json.loads((assets / "ict.npz.json").read_text())
    assert len(card["missing"]) == 149
    assert {"generic_neutral_mesh.obj", "identity001.obj", "jawOpen.obj"} < set(card["inputs"])
    assert {row.name: row.present for row in status()}["ict"] == "part"
    gathered = shared("ict_facekit/ict_facekit.npz")
    for found, whole in (
        (load_arrays(assets / "ict.npz"), import_ict(gathered)),
        (load_arrays(assets / "ict_face.npz"), import_ict_face(gathered)),
    ):
        directions = [list(whole.expression_names).index(name) for name in ("jawOpen", "mouthSmile_L")]
        assert found.expression_names.tolist() == ["jawOpen", "mouthSmile_L"]
        rounding = {"atol": 1.1e-3}  # of float16 in the gathered file
        np.testing.assert_allclose(found.shape_basis, whole.shape_basis[:2], **rounding)
        np.testing.assert_allclose(found.expression_basis, whole.expression_basis[directions], **rounding)
        smaller = {"shape_basis", "expression_basis", "expression_names", "expression_low", "expression_high"}
        for field in {f.name for f in fields(whole)} - smaller:
            np.testing.assert_array_equal(getattr(found, field), getattr(whole, field), err_msg=field)


def test_the_gathered_ict_file_is_imported_whole(assets):
    gathered = shared("ict_facekit/ict_facekit.npz")
    done = pwm_import("ict", gathered)
    assert done.stdout == f"{assets / 'ict.npz'}\n{assets / 'ict_face.npz'}\n"
    assert arrays_sha256(load_arrays(assets / "ict_face.npz")) == arrays_sha256(import_ict_face(gathered))
    assert {row.name: row.present for row in status()}["ict"] == "yes"


def test_ict_without_what_every_head_needs_is_refused(assets, tmp_path):
    source = shared("ict_facekit/FaceXModel")
    names = ["generic_neutral_mesh.obj", "vertex_indices.json", "identity000.obj", "jawOpen.obj"]
    for missing in names:
        folder = tmp_path / missing
        folder.mkdir()
        for name in set(names) - {missing}:
            (folder / name).symlink_to(source / name)
        wanted = {"identity000.obj": "no identity such as", "jawOpen.obj": "no expression such as browDown_L"}
        assert wanted.get(missing, f"there is no {missing}") in refused(assets, "ict", folder)
    folder = tmp_path / names[0]
    lines = (source / names[0]).read_text().splitlines()
    (folder / names[0]).symlink_to(source / names[0])
    for name, text, message in (
        ("jawOpen.obj", "\n".join(lines[:5000]), "vertices, but the neutral mesh has 26719"),
        ("jawOpen.obj", "v 1 2 x\n", "jawOpen.obj is no OBJ file"),
        ("vertex_indices.json", "{}", "vertex_indices.json is not"),
    ):
        (folder / name).unlink()
        (folder / name).write_text(text)
        assert message in refused(assets, "ict", folder)
        (folder / name).unlink()
        (folder / name).symlink_to(source / name)


def test_weights_are_one_file_copied(assets, tmp_path):
    weights = write_release(tmp_path / "anything.pth", "vgg19")
    assert "vgg19: expected one file, got 2" in refused(assets, "vgg19", weights, weights)
    assert "unknown asset 'flam': expected one of arcface, bfm, bilayer, " in refused(assets, "flam", weights)
    done = pwm_import("vgg19", weights)
    assert done.stdout == f"{assets / 'vgg19.pth'}\n"
    assert (assets / "vgg19.pth").read_bytes() == weights.read_bytes()
    assert json.loads((assets / "vgg19.pth.json").read_text())["sha256"] == sha256_file(weights)


def test_codes_that_the_head_does_not_have_are_refused(imported):
    head = HeadModel(load_arrays(imported / "flame.npz"))
    codes = [torch.zeros(1, n) for n in (100, 50, 15)]
    with pytest.raises(ValueError, match="head flame: shape has 300 codes, this head has 100"):
        head.vertices(torch.zeros(1, 300), *codes[1:])
    with pytest.raises(ValueError, match="head flame: expression has a code that is not finite"):
        head.vertices(codes[0], codes[1] * torch.nan, codes[2])
