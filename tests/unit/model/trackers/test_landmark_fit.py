"""The landmark fitter: derivatives, recovery of known codes, agreement with SciPy, bounds and refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.trackers.landmark_fit import FitSettings, LandmarkFitter
from model.trackers.landmark_head import LandmarkHead
from tests.helpers import random_head

SETTINGS = FitSettings(
    landmark_sigma=0.01,
    contour_weight=0.5,
    hidden_yaw_deg=80,
    huber_sigmas=1e3,
    shape_sigma=30.0,
    expression_sigma=30.0,
    joint_sigma_rad=3.0,
    identity_frames=16,
    identity_steps=15,
    frame_steps=10,
)
ALL = torch.ones(68, dtype=torch.bool)
JOINTS = {"joint_names": np.array(["root"]), "joint_parents": np.array([-1], np.int32)}


def head_of(kind: str) -> HeadModel:
    """A small head: five joints with pose correctives, or one joint under a perspective camera."""
    arrays = random_head(seed=3)
    count = len(arrays.template)
    if kind == "jointed":
        rng = np.random.default_rng(5)
        return HeadModel(replace(arrays, pose_basis=rng.normal(0, 0.1, (36, count, 3)).astype(np.float32))).double()
    weights = np.ones((count, 1), np.float32)
    regressor = arrays.joint_regressor[:1]
    return HeadModel(
        replace(arrays, camera="deep3d_perspective", rotation="deep3d_euler", skin_weights=weights,
                joint_regressor=regressor, **JOINTS)
    ).double()  # fmt: skip


def truth(head: HeadModel, frames: int, seed: int = 0) -> HeadFit:
    """A clip of one person, turning by up to half a radian, with expressions inside their bounds."""
    g = torch.Generator().manual_seed(seed)

    def noise(*shape: int, by: float) -> torch.Tensor:
        return by * torch.randn(*shape, generator=g, dtype=torch.float64)

    pose = torch.zeros(frames, head.num_pose, dtype=torch.float64)
    pose[:, :3] = noise(frames, 3, by=0.25)
    if head.num_joints > 1:
        pose[:, 6:9] = noise(frames, 3, by=0.1)  # jaw
    camera = torch.tensor([[0.3, -0.5, -90.0]] if head.perspective else [[0.06, 0.3, -0.5]], dtype=torch.float64)
    expression = noise(frames, head.num_expression, by=0.7).clamp(-1.9, 1.9)
    shape = noise(1, head.num_shape, by=1.0).expand(frames, -1)
    whole = torch.tensor([[1.0, 0, 0, 0, 1, 0]], dtype=torch.float64)
    return HeadFit(shape, expression, pose, camera.repeat(frames, 1), whole.expand(frames, 6))


@pytest.mark.parametrize("kind", ["jointed", "perspective"])
def test_reduced_head_places_landmarks_as_the_head_does(kind):
    head = head_of(kind)
    fit = truth(head, 4)
    fit = fit.replace(pose=fit.pose + 0.1)  # neck and eyes turn as well
    ours = LandmarkHead(head, ("root", "jaw")).points(fit.shape[0], fit.expression, fit.pose, fit.camera)
    torch.testing.assert_close(ours, head.place_landmarks(fit), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["jointed", "perspective"])
def test_derivatives_match_differences(kind):
    head = head_of(kind)
    fit = truth(head, 2)
    reduced = LandmarkHead(head, ("root", "jaw"))
    model = reduced.linearise(fit.shape[0], fit.expression, fit.pose, fit.camera, with_shape=True)
    step = 1e-5
    columns = []
    for name, picks in (
        ("shape", range(head.num_shape)),
        ("expression", range(head.num_expression)),
        ("pose", reduced.free_pose),
        ("camera", range(head.num_camera)),
    ):
        for pick in picks:
            ends = []
            for sign in (1, -1):
                value = getattr(fit, name).clone()
                value[:, pick] += sign * step
                moved = fit.replace(**{name: value})
                ends.append(reduced.points(moved.shape[0], moved.expression, moved.pose, moved.camera))
            columns.append((ends[0] - ends[1]) / (2 * step))
    expected = torch.stack(columns, -1)
    torch.testing.assert_close(torch.cat([model.by_shape, model.by_frame], -1), expected, atol=1e-7, rtol=1e-5)


def test_known_codes_are_recovered():
    head = head_of("jointed")
    fit = truth(head, 12)
    found = LandmarkFitter(head, SETTINGS).fit(head.place_landmarks(fit), ALL)
    torch.testing.assert_close(found.points, head.place_landmarks(fit), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.shape, fit.shape[0], atol=0.05, rtol=0)
    torch.testing.assert_close(found.expression, fit.expression, atol=0.05, rtol=0)
    torch.testing.assert_close(found.pose, fit.pose, atol=0.02, rtol=0)
    assert found.error.max() < 1e-3


def test_known_codes_are_recovered_under_perspective():
    head = head_of("perspective")
    fit = truth(head, 12)
    found = LandmarkFitter(head, SETTINGS).fit(head.place_landmarks(fit), ALL)
    torch.testing.assert_close(found.points, head.place_landmarks(fit), atol=1e-3, rtol=0)
    angles, expected = head.yaw_pitch_roll_rad(found.pose), head.yaw_pitch_roll_rad(fit.pose)
    torch.testing.assert_close(angles, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(found.camera[:, 2], fit.camera[:, 2], atol=3.0, rtol=0)


@pytest.mark.parametrize(("axis", "turn"), [(0, 0.4), (0, -0.4), (1, 0.4), (1, -0.4), (2, 0.4), (2, -0.4)])
def test_each_angle_keeps_its_sign(axis, turn):
    head = head_of("jointed")
    fit = truth(head, 1).replace(pose=torch.zeros(1, 15, dtype=torch.float64))
    fit.pose[0, axis] = turn
    found = LandmarkFitter(head, SETTINGS).fit(head.place_landmarks(fit), ALL)
    expected = torch.zeros(3, dtype=torch.float64)
    expected[axis] = turn
    torch.testing.assert_close(found.pose[0, :3], expected, atol=0.03, rtol=0)


def test_minimum_agrees_with_scipy():
    """With the contour off and no robust loss the problem is plain bounded least squares."""
    head = head_of("jointed")
    settings = replace(SETTINGS, contour_weight=0.0, shape_sigma=0.5, expression_sigma=0.25, joint_sigma_rad=0.1)
    fit = truth(head, 3)
    fit = fit.replace(expression=fit.expression * 4)  # some codes beyond their bounds
    targets = head.place_landmarks(fit)
    targets = targets + 0.01 * torch.randn(targets.shape, generator=torch.Generator().manual_seed(1)).double()
    fitter = LandmarkFitter(head, replace(settings, identity_steps=40, frame_steps=40))
    found = fitter.fit(targets, ALL)
    size = fitter._start(targets, ALL)[1][:, None, None]

    def residuals(x: np.ndarray) -> np.ndarray:
        shape, unknowns = torch.from_numpy(x[: head.num_shape]), torch.from_numpy(x[head.num_shape :]).reshape(3, -1)
        points = fitter.reduced.points(shape, *fitter._split(unknowns))
        data = (points - targets)[:, 17:] / (settings.landmark_sigma * size)
        priors = fitter.frame_prior.sqrt() * unknowns
        return torch.cat([data.flatten(), priors.flatten(), 3**0.5 * shape / settings.shape_sigma]).numpy()

    def packed(shape: torch.Tensor, expression: torch.Tensor, pose: torch.Tensor, camera: torch.Tensor) -> np.ndarray:
        unknowns = torch.cat([expression, pose[:, fitter.reduced.free_pose], camera], 1)
        return torch.cat([shape, unknowns.flatten()]).numpy()

    ours = packed(found.shape, found.expression, found.pose, found.camera)
    free = np.full(head.num_shape, np.inf)
    low, high = (np.concatenate([s * free, np.tile(b.numpy(), 3)]) for s, b in ((-1, fitter.low), (1, fitter.high)))
    start = packed(torch.zeros(head.num_shape), 0 * found.expression, fit.pose, fit.camera)
    oracle = least_squares(residuals, start, bounds=(low, high), x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-10)
    cost = 0.5 * (residuals(ours) ** 2).sum()
    assert (found.expression.abs() == 2).any()  # the bounds are active
    assert cost == pytest.approx(oracle.cost, rel=1e-6)
    np.testing.assert_allclose(ours, oracle.x, atol=2e-3)


def test_landmarks_left_out_have_no_influence():
    head = head_of("jointed")
    targets = head.place_landmarks(truth(head, 6))
    used = ALL.clone()
    used[::7] = False
    spoiled = targets.clone()
    spoiled[:, ~used] += 0.5
    fitter = LandmarkFitter(head, SETTINGS)
    one, other = fitter.fit(targets, used), fitter.fit(spoiled, used)
    torch.testing.assert_close(one.points, other.points, atol=0, rtol=0)
    assert one.error[:, ~used].median() < 0.01
    assert (fitter.fit(spoiled, ALL).points - one.points).abs().max() > 1e-3


def test_the_averted_contour_counts_less():
    head = head_of("jointed")
    fitter = LandmarkFitter(head, replace(SETTINGS, hidden_yaw_deg=40))
    weights = fitter._visibility(torch.tensor([[0.0, 0.6, 0.0] + [0.0] * 12, [0.0] * 15], dtype=torch.float64))
    right = fitter.rest[:17, 0] > 0  # turned to the viewer's right, the right side is averted
    assert weights[0, :17][right].max() < 0.1
    assert (weights[0, :17][~right] == 0.5).all()
    assert (weights[1, :17] == 0.5).all()
    assert (weights[:, 17:] == 1).all()


def test_one_outlier_barely_moves_a_robust_fit():
    head = head_of("jointed")
    targets = head.place_landmarks(truth(head, 4))
    spoiled = targets.clone()
    spoiled[:, 40] += 0.3
    error = {}
    for sigmas in (2.0, 1e3):
        found = LandmarkFitter(head, replace(SETTINGS, huber_sigmas=sigmas)).fit(spoiled, ALL)
        error[sigmas] = (found.points - targets).norm(dim=-1).mean().item()
    assert error[2.0] < 0.3 * error[1e3]


def test_identity_is_shared_and_results_repeat():
    head = head_of("jointed")
    targets = head.place_landmarks(truth(head, 20))
    fitter = LandmarkFitter(head, SETTINGS)
    one, two = fitter.fit(targets, ALL), fitter.fit(targets, ALL)
    assert one.shape.shape == (head.num_shape,)
    assert torch.equal(one.expression, two.expression)
    assert torch.equal(one.camera, two.camera)


@pytest.mark.parametrize("kind", ["jointed", "perspective"])
def test_images_fitted_side_by_side_are_clips_of_one_frame(kind):
    head = head_of(kind)
    targets = head.place_landmarks(truth(head, 6))
    targets[2:] += 0.01 * torch.randn(4, 68, 2, generator=torch.Generator().manual_seed(0), dtype=targets.dtype)
    fitter = LandmarkFitter(head, SETTINGS)
    used = ALL.clone()
    used[::9] = False
    each = fitter.fit_each(targets, used)
    assert each.shape.shape == (6, head.num_shape)
    for row in range(6):
        alone = fitter.fit(targets[[row]], used)
        torch.testing.assert_close(each.shape[row], alone.shape, atol=1e-5, rtol=0)
        for name in ("expression", "pose", "camera", "points", "error"):
            torch.testing.assert_close(getattr(each, name)[[row]], getattr(alone, name), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("targets", [torch.full((2, 68, 2), torch.nan), torch.zeros(0, 68, 2), torch.zeros(2, 67, 2)])
def test_unusable_targets_are_refused(targets):
    with pytest.raises(ValueError, match=r"fit: targets must be \(B >= 1, 68, 2\) and finite"):
        LandmarkFitter(head_of("jointed"), SETTINGS).fit(targets, ALL)


def test_a_point_cloud_that_is_no_face_ends_finite():
    found = LandmarkFitter(head_of("jointed"), SETTINGS).fit(torch.zeros(2, 68, 2), ALL)
    assert found.points.isfinite().all()
