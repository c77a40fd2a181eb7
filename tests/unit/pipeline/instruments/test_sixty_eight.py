"""The map from mesh points to 68 landmarks: affine, complete, and where a head's landmarks are."""

import numpy as np
import pytest

from pipeline.instruments.sixty_eight import table_weights, to_68, weights
from pipeline.instruments.sixty_eight_table import TABLE


def test_landmarks_follow_whatever_moves_the_picture():
    points = np.random.default_rng(0).uniform(0, 200, (3, 468, 3)).astype(np.float32)
    matrix, shift = np.array([[0.8, 0.3], [-0.2, 1.4]]), np.array([12.0, -7.0])
    moved = points.copy()
    moved[..., :2] = points[..., :2] @ matrix.T + shift
    assert np.allclose(to_68(moved), to_68(points) @ matrix.T + shift, atol=1e-3)


def test_every_landmark_is_made_of_few_points():
    assert np.allclose(weights().sum(1), 1)
    assert (np.count_nonzero(weights(), axis=1) <= 12).all()
    assert np.linalg.norm(weights(), axis=1).max() < 1.5  # noise of the mesh is not made larger by much


def test_an_unseen_face_has_no_landmarks():
    points = np.zeros((2, 468, 3), np.float32)
    points[1] = np.nan
    found = to_68(points)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("\n".join(TABLE.strip().splitlines()[1:]), "has 67 lines, expected 68"),
        (TABLE.replace(":", ":1", 1), "whose weights sum to"),
    ],
)
def test_a_damaged_table_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        table_weights(table)
