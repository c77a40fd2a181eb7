"""Head model: skinning, cameras, rotations, the `.npz` form and its refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.heads.arrays import arrays_sha256, load_arrays, save_head
from model.heads.camera import deep3d_perspective, scaled_orthographic
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.rotation import axis_angle_to_matrix, euler_to_matrix, matrix_to_axis_angle, matrix_to_yaw_pitch_roll
from tests.helpers import ROOT, random_head
from tests.parity.flame_lbs import flame_like

DATA = ROOT / "tests" / "data"


def test_skinning_and_projection_agree_with_flame(placed):
    golden = dict(np.load(DATA / "flame_lbs.npz"))
    head = placed(HeadModel(flame_like(golden)))
    pose = np.concatenate([golden[k] for k in ("global_pose", "neck_pose", "jaw_pose", "eye_pose")], 1)
    verts = head.vertices(*(placed(torch.from_numpy(a)) for a in (golden["shape"], golden["expression"], pose)))
    assert np.abs(verts.cpu().numpy() - golden["vertices"]).max() <= golden["tolerance"]
    projected = head.project(
        placed(torch.from_numpy(golden["vertices"])).float(), placed(torch.from_numpy(golden["cam"]))
    )
    assert np.abs(projected.cpu().numpy() - golden["projected"]).max() <= 1e-5


def test_perspective_camera_and_angles_agree_with_deep3d(placed):
    golden = np.load(DATA / "deep3d_camera.npz")
    rotation = euler_to_matrix(placed(torch.from_numpy(golden["angles"])))
    assert np.abs(rotation.transpose(1, 2).cpu().numpy() - golden["rotation"]).max() <= 1e-5
    posed = placed(torch.from_numpy(golden["vertices"])) @ rotation.transpose(1, 2)
    ndc = deep3d_perspective(posed, placed(torch.from_numpy(golden["translation"])))
    px = (ndc[..., :2] + 1) * 112
    px[..., 1] = 224 - px[..., 1]  # the golden has y up
    assert np.abs(px.cpu().numpy() - golden["projected"]).max() <= 1e-3


def test_skinning_gradients_agree_with_finite_differences(on_device):
    head = on_device(HeadModel(random_head()).double())
    inputs = [on_device(torch.randn(2, n, dtype=torch.float64)).mul(0.3).requires_grad_() for n in (4, 3, 15)]
    assert torch.autograd.gradcheck(head.vertices, inputs, fast_mode=True)


def test_orthographic_camera_flips_y_once(placed):
    projected = scaled_orthographic(placed(torch.tensor([[[1.0, 2.0, 3.0]]])), placed(torch.tensor([[0.1, 2.0, 3.0]])))
    assert torch.allclose(projected, placed(torch.tensor([[[0.3, -0.5, -0.3]]])))


@pytest.mark.parametrize(("axis", "name"), [(1, "yaw"), (0, "pitch"), (2, "roll")])
def test_signs_of_the_angles(axis, name, placed):
    axis_angle = placed(torch.zeros(1, 3))
    axis_angle[0, axis] = 0.4
    rotation = axis_angle_to_matrix(axis_angle)[0]
    nose, top = rotation @ placed(torch.tensor([0.0, 0.0, 1.0])), rotation @ placed(torch.tensor([0.0, 1.0, 0.0]))
    angles = dict(zip(("yaw", "pitch", "roll"), matrix_to_yaw_pitch_roll(rotation).tolist(), strict=True))
    assert angles.pop(name) == pytest.approx(0.4, abs=1e-6)
    assert all(abs(a) < 1e-6 for a in angles.values())
    assert {"yaw": nose[0] > 0, "pitch": nose[1] < 0, "roll": top[0] < 0}[name]


def test_rotation_logarithm_inverts_the_exponential(on_device):
    axis_angle = torch.cat(
        [on_device(torch.randn(20, 3, dtype=torch.float64)), on_device(torch.zeros(1, 3, dtype=torch.float64))]
    )
    axis_angle *= (2.5 / axis_angle.norm(dim=-1, keepdim=True).clamp_min(1e-9)).clamp(max=1.0)
    assert torch.allclose(matrix_to_axis_angle(axis_angle_to_matrix(axis_angle)), axis_angle, atol=1e-9)


def test_placing_a_head_applies_the_tracker_map_last(placed):
    head = placed(HeadModel(random_head()))
    codes = [placed(torch.randn(1, n)) * 0.2 for n in (4, 3, 15)]
    camera = placed(torch.tensor([[0.05, 1.0, -2.0]]))
    plain = head.place(HeadFit(*codes, camera, placed(torch.tensor([[1.0, 0, 0, 0, 1, 0]]))))
    moved = head.place(HeadFit(*codes, camera, placed(torch.tensor([[0.5, 0, 0.1, 0, 2.0, -0.3]]))))
    assert torch.allclose(moved[..., 0], 0.5 * plain[..., 0] + 0.1, atol=1e-6)
    assert torch.allclose(moved[..., 1], 2.0 * plain[..., 1] - 0.3, atol=1e-6)
    landmarks = head.place_landmarks(HeadFit(*codes, camera, placed(torch.tensor([[0.5, 0, 0.1, 0, 2.0, -0.3]]))))
    assert torch.allclose(landmarks, head.landmarks_of(moved)[..., :2], atol=placed.atol)


def test_npz_round_trip_is_exact_and_byte_stable(tmp_path):
    arrays = random_head(3)
    save_head(tmp_path / "a.npz", arrays)
    save_head(tmp_path / "b.npz", load_arrays(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert arrays_sha256(load_arrays(tmp_path / "a.npz")) == arrays_sha256(arrays)
    assert arrays_sha256(random_head(4)) != arrays_sha256(arrays)


def test_wrong_files_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_arrays(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not a head")
    with pytest.raises(ValueError, match=r"text\.npz"):
        load_arrays(tmp_path / "text.npz")
    np.savez(tmp_path / "part.npz", template=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"part\.npz.*triangles"):
        load_arrays(tmp_path / "part.npz")
    with pytest.raises(ValueError, match="bumpy_sphere.*triangles"):
        replace(random_head(), triangles=np.full((3, 3), 999, np.int32), triangle_part=np.zeros(3, np.int32)).check()
    with pytest.raises(ValueError, match="camera 'fisheye'"):
        replace(random_head(), camera="fisheye").check()


def test_codes_of_another_length_are_refused(placed):
    head = placed(HeadModel(random_head()))
    with pytest.raises(ValueError, match="shape has 5 codes, this head has 4"):
        head.vertices(placed(torch.zeros(1, 5)), placed(torch.zeros(1, 3)), placed(torch.zeros(1, 15)))
