"""The crops of Bi-Layer and LSR: their published sizes, and places that map back to where they were."""

from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.bilayer import crop as bilayer
from pipeline.adapters.lsr import crop as lsr
from pipeline.methods.squares import Square, apply, cut
from pipeline.puppets.appearance import PART
from pipeline.puppets.render import Camera
from tests.helpers import shared
from tests.puppet_studio import centre_of, codes, landmarks_px, person, studio

SQUARES = [bilayer.square_of, lsr.square_of]
SIZE = (150, 220)
MAP = np.array([150 / 220, 0, 0.1, 0, 1, -0.1], np.float32)  # a square tracker frame in a wide frame


def marks(low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """68 landmarks whose box has these corners, as pixel numbers; in px, they have half a pixel more."""
    points = np.random.default_rng(0).uniform(low, high, (68, 2))
    points[:2] = low, high
    return points + 0.5


def test_bilayers_square_is_twice_the_longer_side_and_a_sixth_above():
    # middle (130, 95), longer side 100: begins at 130 - 100 and 95 - 16 - 100
    assert bilayer.square_of(marks((100, 45), (160, 145))) == Square(30, -21, 200)
    # middle (10.5, 9.5), which is rounded to even numbers, and the side 21.5 cut to 21
    assert bilayer.square_of(marks((-0.25, 4), (21.25, 15))) == Square(10 - 21, 10 - 3 - 21, 42)


def test_lsrs_square_has_the_sides_of_voxceleb2s_own_crops():
    """On genuine 224 px crops, the rule finds a square of about that size at about that place."""
    column = pq.read_table(shared("voxceleb2_samples/landmarks.parquet"), columns=["landmarks"])["landmarks"]
    seen = np.stack(column.to_numpy())[::5].reshape(-1, 68, 2) + 0.5
    squares = [lsr.square_of(points) for points in seen]
    found = np.array([(s.side, s.left + s.side / 2, s.top + s.side / 2) for s in squares])
    assert np.median(found, 0) == pytest.approx((224, 112, 112), abs=4)


@pytest.mark.parametrize("square", SQUARES)
def test_the_square_follows_the_face(square: Callable):
    points = marks((40, 30), (90, 100))
    here, moved, grown = square(points), square(points + (12, -7)), square(2 * points)
    assert (moved.left - here.left, moved.top - here.top, moved.side) == (12, -7, here.side)
    assert grown.side == pytest.approx(2 * here.side, abs=2)
    inside = apply(here.to_crop, points)
    assert np.abs(inside).max() < 1


def test_the_maps_are_each_others_inverse_and_meet_the_edges():
    square = Square(-7, 12, 40)
    corners = apply(square.to_crop, np.array([[-7, 12], [33, 52], [13, 32]]))
    np.testing.assert_allclose(corners, [[-1, -1], [1, 1], [0, 0]], rtol=0, atol=1e-12)
    points = np.random.default_rng(1).uniform(-50, 300, (9, 2))
    np.testing.assert_allclose(apply(square.to_frame, apply(square.to_crop, points)), points, rtol=0, atol=1e-10)


@pytest.mark.parametrize("square", SQUARES)
@pytest.mark.parametrize("yaw_deg", [0.0, 25.0])
def test_what_is_found_in_the_crop_of_a_puppet_lies_there_in_the_frame(square: Callable, yaw_deg: float):
    actor = studio().dress(person())
    pose = codes(actor.person, yaw_deg=yaw_deg)
    picture = Camera(studio()).film(actor, *pose.values(), SIZE, MAP, None, 1, with_albedo=True)[0]
    found = square(landmarks_px(pose, MAP, SIZE))
    for part in ("eyes", "lips"):
        shown = (picture.label == PART[part]) * np.uint8(255)
        inside = cut(np.repeat(shown[..., None], 3, 2), found, 256)[..., 0]
        there = centre_of(inside > 127, 1) / 256 * 2 - 1
        assert np.abs(apply(found.to_frame, there) - centre_of(picture.label, PART[part])).max() < 1


def test_what_leaves_the_frame_is_black():
    frame = np.full((60, 80, 3), 200, np.uint8)
    inside = cut(frame, Square(-40, 10, 80), 160)
    assert inside.shape == (160, 160, 3)
    assert not inside[:, :76].any()  # 40 px of the frame, less the filter's reach
    assert not inside[104:].any()
    assert (inside[:96, 84:] == 200).all()


def test_poses_keep_or_lose_the_published_half_pixel():
    points, square = marks((40, 30), (90, 100)), Square(20, 10, 100)
    numbers = points - 0.5
    np.testing.assert_allclose(bilayer.pose_in(points, square), (numbers - (20, 10)) / 100 * 2 - 1)
    np.testing.assert_allclose(lsr.pose_in(points, square), (points - (20, 10)) / 100 * 2 - 1)


@pytest.mark.parametrize("square", SQUARES)
def test_a_face_without_extent_is_refused(square: Callable):
    with pytest.raises(ValueError, match="span no pixel"):
        square(np.full((68, 2), 7.0))
    with pytest.raises(ValueError, match="68 finite landmarks"):
        square(np.full((68, 2), np.nan))
    with pytest.raises(ValueError, match="68 finite landmarks"):
        square(np.zeros((5, 2)))
