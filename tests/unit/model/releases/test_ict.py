"""The ICT-FaceKit importer against the release's own OBJ files, and its refusals."""

import json

import numpy as np
import pytest
import torch

from model.heads.arrays import load_arrays, save_head
from model.heads.head import HeadModel
from model.releases.ict import import_ict, import_ict_face
from tests.helpers import shared

NPZ = "ict_facekit/ict_facekit.npz"
RELEASE = "ict_facekit/FaceXModel"
FLOAT16_CM = 1.1e-3  # rounding of an offset of up to 2 cm stored as float16


@pytest.fixture(scope="module")
def ict():
    return import_ict(shared(NPZ))


@pytest.fixture(scope="module")
def face():
    return import_ict_face(shared(NPZ))


def obj_vertices(name: str) -> np.ndarray:
    lines = shared(f"{RELEASE}/{name}.obj").read_text().splitlines()
    return np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float64)


@pytest.fixture(scope="module")
def neutral():
    return obj_vertices("generic_neutral_mesh")


def test_template_is_the_neutral_mesh(ict, neutral):
    assert ict.template.shape == (24591, 3)
    np.testing.assert_allclose(ict.template, neutral[:24591], atol=2e-6)


def test_identity_and_expression_are_the_releases_offsets(ict, neutral):
    count = len(ict.template)
    for basis, number, file in (
        (ict.shape_basis, 0, "identity000"),
        (ict.shape_basis, 1, "identity001"),
        (ict.expression_basis, list(ict.expression_names).index("jawOpen"), "jawOpen"),
        (ict.expression_basis, list(ict.expression_names).index("mouthSmile_L"), "mouthSmile_L"),
    ):
        offset = (obj_vertices(file) - neutral)[:count]
        assert np.abs(offset).max() > 0.1
        np.testing.assert_allclose(basis[number].astype(np.float64), offset, atol=FLOAT16_CM, err_msg=file)


def test_landmarks_are_the_releases_vertices(ict, face, neutral):
    numbers = json.loads(shared(f"{RELEASE}/vertex_indices.json").read_text())["idx_to_landmark_verts"]
    for arrays in (ict, face):
        head = HeadModel(arrays)
        landmarks = head.landmarks_of(head.template[None])[0]
        np.testing.assert_allclose(landmarks.numpy(), neutral[numbers], atol=1e-5)


def test_frame_has_y_up_z_to_the_viewer_and_the_persons_right_on_the_left(ict):
    head = HeadModel(ict)
    x, y, z = head.landmarks_of(head.template[None])[0].unbind(-1)
    assert x[36] < x[39] < x[42] < x[45]  # right eye of the person, then the left one
    assert y[8] < y[57] < y[30] < y[27]  # chin, lip, nose tip, bridge
    assert z.argmax() == 30  # nose tip
    corners = ict.template[ict.triangles[ict.landmark_triangles[30]]]
    assert np.cross(corners[1] - corners[0], corners[2] - corners[0])[2] > 0  # seen counter-clockwise


def test_turning_the_root_right_moves_the_nose_right(ict):
    head = HeadModel(ict)
    codes = torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression)
    turned = head.landmarks_of(head.vertices(*codes, torch.tensor([[0.0, 0.5, 0.0]])))[0, 30]
    assert turned[0] > 5
    assert head.yaw_pitch_roll_rad(torch.tensor([[0.0, 0.5, 0.0]]))[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_face_is_the_face_part_alone(ict, face):
    assert face.name == "ict_face"
    assert list(face.part_names) == ["face"]
    assert 5000 < len(face.template) < len(ict.template) / 2
    inside = (ict.triangles < 9409).all(1)
    np.testing.assert_array_equal(face.template[face.triangles], ict.template[ict.triangles[inside]])
    np.testing.assert_array_equal(
        face.expression_basis[:, face.triangles[:50]], ict.expression_basis[:, ict.triangles[inside][:50]]
    )


def test_parts_cover_the_head(ict):
    assert len(ict.part_names) == 9
    eyes = ict.template[ict.triangles[ict.triangle_part == list(ict.part_names).index("eyeball_left")]]
    assert eyes[..., 0].min() > 1  # the person's left is the viewer's right
    assert (np.bincount(ict.triangle_part, minlength=9) > 0).all()


def test_a_saved_head_reads_back(face, tmp_path):
    save_head(tmp_path / "ict_face.npz", face)
    again = load_arrays(tmp_path / "ict_face.npz")
    np.testing.assert_array_equal(again.shape_basis, face.shape_basis)
    assert (again.camera, again.rotation) == ("scaled_orthographic", "axis_angle")
    assert again.expression_low.max() == 0
    assert again.expression_high.min() == 1


def test_wrong_files_are_refused_with_the_reason(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no ICT-FaceKit at .*MIT"):
        import_ict(tmp_path / "nothing.npz")
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(ValueError, match=r"text.npz is not ict_facekit.npz"):
        import_ict(text)
    other = tmp_path / "other.npz"
    np.savez(other, template=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"lacks identity, expression"):
        import_ict_face(other)
    mesh = {"template": np.zeros((4, 3)), "identity": np.zeros((2, 5, 3)), "expression": np.zeros((1, 4, 3)),
            "expression_names": np.array(["smile"]), "triangles": np.zeros((1, 3), int),
            "part_names": np.array(["face"]), "landmarks68": np.zeros(68, int), "parts": np.array([0, 4])}  # fmt: skip
    np.savez(other, **mesh)
    with pytest.raises(ValueError, match=r"identity is \(2, 5, 3\), expected \(2, 4, 3\)"):
        import_ict(other)
    np.savez(other, **{**mesh, "identity": np.zeros((2, 4, 3)), "landmarks68": np.full(68, 9)})
    with pytest.raises(ValueError, match=r"landmarks68 has a vertex outside 0..3"):
        import_ict(other)
