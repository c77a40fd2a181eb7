"""Contour landmarks that depend on yaw: DECA's rows, the head that shows them, gradients, and the fitter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.heads.arrays import HeadArrays, arrays_sha256, load_arrays, save_head
from model.heads.contour import contour_rows
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.rotation import axis_angle_to_matrix
from model.releases.flame import import_flame
from model.trackers.landmark_fit import FitSettings, LandmarkFitter
from model.trackers.landmark_head import LandmarkHead
from tests.helpers import ROOT, random_head
from tests.releases import embedding_arrays, flame_arrays, write_embedding, write_flame

DATA = ROOT / "tests" / "data"
WHOLE = torch.tensor([[1.0, 0, 0, 0, 1, 0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory) -> HeadArrays:
    folder, flame = tmp_path_factory.mktemp("flame"), flame_arrays()
    model = write_flame(folder / "generic_model.pkl", flame)
    return import_flame(model, write_embedding(folder / "landmark_embedding.npy", embedding_arrays(flame)))


@pytest.fixture(scope="module")
def head(arrays) -> HeadModel:
    few = slice(0, 5)  # codes: enough for derivatives, few enough for differences
    return HeadModel(
        replace(
            arrays,
            shape_basis=arrays.shape_basis[few],
            expression_basis=arrays.expression_basis[few],
            expression_names=arrays.expression_names[few],
            expression_low=arrays.expression_low[few],
            expression_high=arrays.expression_high[few],
        )
    ).double()


def truth(head: HeadModel, root_deg: list[list[float]], neck_deg: float = 0.0) -> HeadFit:
    """Frames of one person with the root and the neck turned as given, jaw open a little."""
    g = torch.Generator().manual_seed(1)
    frames = len(root_deg)
    pose = torch.zeros(frames, 15, dtype=torch.float64)
    pose[:, :3] = torch.deg2rad(torch.tensor(root_deg, dtype=torch.float64))
    pose[:, 4] = np.radians(neck_deg)
    pose[:, 6] = 0.1
    shape = torch.randn(1, head.num_shape, generator=g, dtype=torch.float64).expand(frames, -1)
    expression = 0.5 * torch.randn(frames, head.num_expression, generator=g, dtype=torch.float64)
    camera = torch.tensor([[7.0, 0.01, -0.02]], dtype=torch.float64).repeat(frames, 1)
    return HeadFit(shape, expression, pose, camera, WHOLE.expand(frames, 6))


def test_rows_are_decas():
    golden = np.load(DATA / "flame_lbs.npz")
    axis_angle = torch.zeros(len(golden["contour_bin"]), 3, dtype=torch.float64)
    axis_angle[:, 1] = torch.from_numpy(np.radians(golden["contour_yaw_degrees"]))
    assert contour_rows(axis_angle_to_matrix(axis_angle)).tolist() == golden["contour_bin"].tolist()


def test_every_row_is_reached_and_the_ends_hold():
    yaw_deg = torch.arange(-60, 61, dtype=torch.float64)
    axis_angle = torch.zeros(len(yaw_deg), 3, dtype=torch.float64)
    axis_angle[:, 1] = torch.deg2rad(yaw_deg)
    rows = contour_rows(axis_angle_to_matrix(axis_angle)).tolist()
    assert rows == [78] * 21 + list(range(78, 39, -1)) + list(range(40)) + [39] * 21


def test_a_diverged_fit_has_landmarks_that_are_not_finite(head):
    fit = truth(head, [[0, 5, 0], [0, 9, 0]])
    fit.pose[1, 1] = torch.nan
    points = LandmarkHead(head, ("root",)).points(fit.shape[0], fit.expression, fit.pose, fit.camera)
    assert points[0].isfinite().all()
    assert points[1].isnan().all()


def test_landmarks_are_those_of_the_row_and_the_mesh(arrays, on_device):
    head = on_device(HeadModel(arrays).double())
    fit = on_device(truth(head, [[0, 0, 0], [5, 20.3, -4], [3, -12.2, 8], [0, -70, 0]], neck_deg=9.0))
    verts = head.vertices(fit.shape, fit.expression, fit.pose)
    found = head.landmarks_of(verts, fit.pose).cpu().numpy()
    seen = set()
    for frame in range(len(fit)):
        turn = np.eye(3)
        for joint in (0, 1):  # root, then neck
            turn = turn @ axis_angle_to_matrix(fit.pose[frame, 3 * joint : 3 * joint + 3]).cpu().numpy()
        yaw = round(min(39.0, np.degrees(np.arctan2(-turn[2, 0], np.hypot(turn[0, 0], turn[1, 0])))))
        row = yaw if yaw >= 0 else min(78, 39 - yaw)
        seen.add(row)
        triangles = np.concatenate([arrays.contour_triangles[row], arrays.landmark_triangles[17:]])
        places = np.concatenate([arrays.contour_barycentric[row], arrays.landmark_barycentric[17:]])
        expected = (verts[frame].cpu().numpy()[arrays.triangles[triangles]] * places[..., None]).sum(1)
        np.testing.assert_allclose(found[frame], expected, atol=1e-12)
    assert len(seen) == 4
    expected = head.project(on_device(torch.from_numpy(found)), fit.camera)[..., :2]
    torch.testing.assert_close(head.place_landmarks(fit), expected)


def test_landmarks_without_a_pose_are_refused(head):
    with pytest.raises(ValueError, match="head flame: landmarks 0-16 depend on yaw, so landmarks_of needs the pose"):
        head.landmarks_of(head.template[None])


def test_a_sliding_contour_survives_the_npz(arrays, tmp_path):
    save_head(tmp_path / "flame.npz", arrays)
    again = load_arrays(tmp_path / "flame.npz")
    assert arrays_sha256(again) == arrays_sha256(arrays)
    np.testing.assert_array_equal(again.contour_triangles, arrays.contour_triangles)
    other = arrays.contour_barycentric.copy()
    other[78] = 0.0
    assert arrays_sha256(replace(arrays, contour_barycentric=other)) != arrays_sha256(arrays)


def test_heads_without_one_are_stored_and_hashed_as_before(tmp_path):
    plain = random_head()
    save_head(tmp_path / "plain.npz", plain)
    with np.load(tmp_path / "plain.npz") as stored:
        assert not [name for name in stored.files if name.startswith("contour")]
    assert arrays_sha256(plain) == "4e4d51f0540208428a03ebd23ff9c470a0e45120a7383832f79e5628fc0fc2fd"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contour_barycentric": None}, r"contour_triangles and contour_barycentric are \(79, 17\) and None"),
        ({"contour_triangles": np.full((79, 17), 10**6)}, r"the contour has a triangle outside 0\.\."),
        ({"contour_triangles": np.zeros((79, 17), int)}, "landmarks 0-16 must be row 0 of the contour"),
    ],
)
def test_contours_that_do_not_fit_are_refused(arrays, change, message):
    with pytest.raises(ValueError, match=message):
        replace(arrays, **change).check()


@pytest.mark.parametrize("neck_deg", [0.0, 6.0])
def test_gradients_agree_with_finite_differences(head, neck_deg):
    fit = truth(head, [[4, 10.2, -3], [0, -20.3, 2]], neck_deg)
    inputs = [t.clone().requires_grad_() for t in (fit.shape, fit.expression, fit.pose, fit.camera)]
    assert torch.autograd.gradcheck(head.vertices, inputs[:3], fast_mode=True)
    assert torch.autograd.gradcheck(lambda *codes: head.place(HeadFit(*codes, fit.tracker_map)), inputs, fast_mode=True)
    assert torch.autograd.gradcheck(lambda *codes: head.place_landmarks(HeadFit(*codes, fit.tracker_map)), inputs)


def test_reduced_head_places_landmarks_as_the_head_does(head):
    fit = truth(head, [[0, 0, 0], [5, 20.3, -4], [3, -12.2, 8]], neck_deg=7.0)
    ours = LandmarkHead(head, ("root", "jaw")).points(fit.shape[0], fit.expression, fit.pose, fit.camera)
    torch.testing.assert_close(ours, head.place_landmarks(fit), atol=1e-6, rtol=0)


def test_reduced_heads_derivatives_match_differences(head):
    fit = truth(head, [[4, 10.2, -3], [0, -20.3, 2]])
    reduced = LandmarkHead(head, ("root", "jaw"))
    model = reduced.linearise(fit.shape[0], fit.expression, fit.pose, fit.camera, with_shape=True)

    def place(shape, expression, free, camera):
        pose = fit.pose.clone()
        pose[:, reduced.free_pose] = free
        return head.place_landmarks(HeadFit(shape.expand(2, -1), expression, pose, camera, fit.tracker_map))

    inputs = (fit.shape[0], fit.expression, fit.pose[:, reduced.free_pose], fit.camera)
    by_shape, *by_frame = torch.autograd.functional.jacobian(place, inputs)
    frames = torch.arange(2)
    by_frame = torch.cat([by[frames, :, :, frames] for by in by_frame], -1)
    torch.testing.assert_close(model.by_shape, by_shape, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.by_frame, by_frame, atol=1e-5, rtol=0)


def test_the_fitter_recovers_landmarks_of_a_turning_head(head):
    settings = FitSettings(
        landmark_sigma=0.01, contour_weight=0.5, hidden_yaw_deg=35, huber_sigmas=1e3, shape_sigma=30.0,
        expression_sigma=30.0, joint_sigma_rad=3.0, identity_frames=16, identity_steps=15, frame_steps=10,
    )  # fmt: skip
    fit = truth(head, [[2, yaw, 1] for yaw in range(-44, 45, 8)])
    found = LandmarkFitter(head, settings).fit(head.place_landmarks(fit), torch.ones(68, dtype=torch.bool))
    torch.testing.assert_close(found.points, head.place_landmarks(fit), atol=2e-3, rtol=0)
    assert (torch.rad2deg(found.pose[:, 1] - fit.pose[:, 1])).abs().max() < 1.0
