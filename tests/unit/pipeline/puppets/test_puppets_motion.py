"""Motion keeps within its limits and moves the way its names say."""

import numpy as np
import pytest
import torch

from pipeline.puppets.motion import MotionLimits, make_motion, random_codes, rotation_vector
from tests.puppet_studio import studio

LIMITS = MotionLimits(50.0, 20.0, 10.0)
SECONDS = np.arange(72) / 25


@pytest.fixture(scope="module")
def motion():
    return make_motion(3, studio().head.arrays, SECONDS, LIMITS)


@pytest.mark.parametrize("angles", [(40.0, 0.0, 0.0), (0.0, 15.0, 0.0), (0.0, 0.0, -12.0), (30.0, -10.0, 8.0)])
def test_angles_have_the_projects_signs(angles):
    head = studio().head
    pose = torch.zeros(1, head.num_pose)
    pose[0, :3] = torch.from_numpy(rotation_vector(*(np.radians([a]) for a in angles))[0])
    assert np.allclose(np.degrees(head.yaw_pitch_roll_rad(pose)[0].numpy()), angles, atol=1e-3)


def test_limits_are_reached_and_kept(motion):
    head = studio().head
    angles = np.abs(np.degrees(head.yaw_pitch_roll_rad(torch.from_numpy(motion.pose)).numpy()))
    assert angles[:, 0].max() == pytest.approx(LIMITS.yaw_deg, abs=0.1)
    assert angles[:, 1].max() <= LIMITS.pitch_deg + 0.1
    assert angles[:, 2].max() <= LIMITS.roll_deg + 0.1


def test_motion_is_smooth_but_for_eyes(motion):
    step = np.degrees(np.abs(np.diff(motion.pose[:, :3], axis=0)).max())
    assert 0.1 < step < 12.0


def test_expressions_keep_their_bounds_and_blink(motion):
    arrays = studio().head.arrays
    assert (motion.expression >= arrays.expression_low - 1e-6).all()
    assert (motion.expression <= arrays.expression_high + 1e-6).all()
    names = [str(n) for n in arrays.expression_names]
    left, right = (motion.expression[:, names.index(f"blink_{side}")] for side in ("left", "right"))
    assert np.array_equal(left, right)
    assert left.max() > 0.8
    assert np.median(left) < 0.1
    jaw = motion.pose.reshape(len(SECONDS), -1, 3)[:, 2, 0]
    assert jaw.min() >= 0
    assert np.degrees(jaw.max()) > 2


def test_the_neck_stays_straight(motion):
    assert not motion.pose.reshape(len(SECONDS), -1, 3)[:, 1].any()


def test_random_codes_spread_evenly():
    arrays = studio().head.arrays
    drawn = random_codes(np.random.default_rng(0), arrays, 400, LIMITS)
    yaw = np.degrees(studio().head.yaw_pitch_roll_rad(torch.from_numpy(drawn.pose))[:, 0].numpy())
    assert 0.25 < (yaw > 25).mean() + (yaw < -25).mean() < 0.75
    assert abs(yaw.mean()) < 5
    assert (drawn.expression >= arrays.expression_low - 1e-6).all()
    assert (drawn.expression <= arrays.expression_high + 1e-6).all()
    assert (np.ptp(drawn.expression, axis=0) > 0.3).all()


def test_talking_faces_are_those_of_a_clip_under_the_same_poses():
    arrays = studio().head.arrays
    spread, mixed, talking = (
        random_codes(np.random.default_rng(0), arrays, 400, LIMITS, share) for share in (0.0, 0.5, 1.0)
    )
    jaw = 3 * list(arrays.joint_names).index("jaw")
    still = np.delete(np.arange(spread.pose.shape[1]), range(jaw, jaw + 3))
    assert np.array_equal(spread.pose[:, still], talking.pose[:, still])
    assert np.array_equal(talking.pose[:, jaw + 1 : jaw + 3], 0 * talking.pose[:, jaw + 1 : jaw + 3])
    rest = [i for i, name in enumerate(arrays.expression_names) if name.startswith(("sneer", "frown", "pucker"))]
    smile = [i for i, name in enumerate(arrays.expression_names) if name.startswith("smile")]
    assert talking.expression[:, rest].mean() < 0.5 * spread.expression[:, rest].mean()
    assert talking.expression[:, smile].std() > 2 * talking.expression[:, rest].std()
    of_clip = (mixed.expression == talking.expression).all(1)
    assert 0.4 < of_clip.mean() < 0.6
    assert np.array_equal(mixed.expression[~of_clip], spread.expression[~of_clip])
